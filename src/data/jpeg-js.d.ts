declare module 'jpeg-js/lib/decoder.js' {
  import type { decode as Decode } from 'jpeg-js';

  const decode: typeof Decode;
  export default decode;
}
