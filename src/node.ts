/** What `import ... from 'segsort-webgpu/node'` gives: what only Node has. */
export * from './data/digits.node.js';
export * from './platform/files.node.js';
