/** Passes of batch normalisation that only software adapters run: loaded where they do. */
export { default as mergeMoments } from '../../shaders/moments_merge.wgsl';
export { default as moments } from '../../shaders/moments_wide.wgsl';
export { default as normSums } from '../../shaders/norm_sums_wide.wgsl';
