/** Kernels for counts and concentrations that no other one takes: loaded where there are such. */
export { default as assign } from '../../shaders/segsort_assign_naive.wgsl';
export { default as ncaGrad } from '../../shaders/segsort_nca_grad_naive.wgsl';
export { default as nca } from '../../shaders/segsort_nca_naive.wgsl';
