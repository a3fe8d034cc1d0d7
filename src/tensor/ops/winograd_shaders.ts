/** Winograd's transforms, loaded where they are used: they pay on software adapters. */
export { default as filter } from '../../shaders/winograd_filter.wgsl';
export { default as input } from '../../shaders/winograd_input.wgsl';
export { default as output } from '../../shaders/winograd_output.wgsl';
