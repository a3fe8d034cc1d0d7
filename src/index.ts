/** What `import ... from 'segsort-webgpu'` gives, the same in Node and in browsers. */
export * from './platform/gpu.js';
