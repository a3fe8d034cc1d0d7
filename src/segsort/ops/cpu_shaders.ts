/** Kernels for software adapters: loaded where one computes. */
export { default as assignQuads } from '../../shaders/segsort_assign_quads.wgsl';
export { default as ncaGradRows } from '../../shaders/segsort_nca_grad_rows.wgsl';
export { default as ncaRows } from '../../shaders/segsort_nca_rows.wgsl';
