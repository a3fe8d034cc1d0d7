/** The products of the family `quads`, which is for software adapters: loaded where one computes. */
export { default as filterGrad } from '../../shaders/conv2d_filter_grad_quads.wgsl';
export { default as conv2d } from '../../shaders/conv2d_quads.wgsl';
export { default as matmul } from '../../shaders/matmul_quads.wgsl';
