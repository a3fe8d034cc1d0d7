/** Winograd's transforms, loaded where they are used: they pay for many channels. */
export { default as blocks } from '../../shaders/winograd_blocks.wgsl';
export { default as filter } from '../../shaders/winograd_filter.wgsl';
export { default as filterGrad } from '../../shaders/winograd_filter_grad.wgsl';
export { default as input } from '../../shaders/winograd_input.wgsl';
export { default as output } from '../../shaders/winograd_output.wgsl';
