/** What `import ... from 'segsort-webgpu/node'` gives: what only Node has. */
export * from './data/cityscapes_lists.node.js';
export * from './data/digits.node.js';
export * from './data/folder_lists.node.js';
export { type GeneratedLists, type NewEntry, type WriteOptions, writeLists } from './data/list_folder.node.js';
export * from './data/voc_lists.node.js';
export * from './platform/files.node.js';
export { defaultTuningFile, fileTuningStore } from './platform/tuning_cache.node.js';
