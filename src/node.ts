/** What `import ... from 'segsort-webgpu/node'` gives: what only Node has. */
export * from './platform/files.node.js';
