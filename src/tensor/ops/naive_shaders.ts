/** Kernels that take any shape, where no other one does; networks have few such shapes, or none: loaded where there are. */
export { default as conv2dFilterGrad } from '../../shaders/conv2d_filter_grad_naive.wgsl';
export { default as conv2dInputGrad } from '../../shaders/conv2d_input_grad_naive.wgsl';
export { default as conv2d } from '../../shaders/conv2d_naive.wgsl';
export { default as matmul } from '../../shaders/matmul_naive.wgsl';
export { default as moments } from '../../shaders/moments_naive.wgsl';
export { default as normSums } from '../../shaders/norm_sums_naive.wgsl';
