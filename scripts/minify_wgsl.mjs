/**
 * Takes comments and dispensable blanks out of WGSL, and nothing else: the tokens stay what they are. Names are not
 * shortened, because a page is sent compressed: names that kernels share cost next to nothing, and shortened ones differ
 * from kernel to kernel (all kernels, gzipped: 41 kB as written, 27 kB so, 28 kB with short names).
 *
 * Lines tagged `// @param` stay lines with that tag, since that is how the shader loader finds them (src/tensor/wgsl.ts).
 */

const WORD = /[A-Za-z_]\w*/.source;
const NUMBER = /0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?[iufh]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[iufh]?/.source;
const OPERATOR = /<<=|>>=|->|&&|\|\||\+\+|--|<<|>>|[-+*/%&|^!=<>]=|[-+*/%&|^!=<>~.,:;@(){}[\]]/.source;
const COMMENT = /\/\/[^\n]*/.source;
const TOKEN = new RegExp(`\\s+|(${COMMENT})|(${WORD}|${NUMBER}|${OPERATOR})`, 'y');
const TAG = /^\/\/\s*@param\b/;

/**
 * The tokens of a piece of WGSL, and the comment that ends it, if one does. Throws on what is no WGSL, and on block
 * comments.
 *
 * @param {string} source
 */
export function tokensOf(source) {
  const tokens = [];
  const comments = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const match = source.startsWith('/*', at) ? null : TOKEN.exec(source);
    if (!match) throw new Error(`not read as WGSL: ${source.slice(at, at + 40)}`);
    if (match[1]) comments.push(match[1]);
    if (match[2]) tokens.push(match[2]);
  }
  return { tokens, comments };
}

/** @param {string} source */
export function minifyWgsl(source) {
  let text = '';
  let last = '';
  const append = (/** @type {string[]} */ tokens) => {
    for (const token of tokens) {
      if (last !== '' && !separate(last, token)) text += ' ';
      text += token;
      last = token;
    }
  };
  for (const line of source.split('\n')) {
    const { tokens, comments } = tokensOf(line);
    const tagged = comments.some((comment) => TAG.test(comment));
    if (tagged && last !== '') text += '\n';
    if (tagged) last = '';
    append(tokens);
    if (!tagged) continue;
    text += '// @param\n';
    last = '';
  }
  return text;
}

/** Whether two tokens are still the same two without a blank between them. */
function separate(left, right) {
  // `a<b> =c` and `a<b>=c` mean the same, but not every parser has known.
  if (left.endsWith('>') && right.startsWith('=')) return false;
  const { tokens } = tokensOf(left + right);
  return tokens.length === 2 && tokens[0] === left;
}
