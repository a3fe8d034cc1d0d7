/** Passes of batch normalisation that only software adapters run: loaded where they do. */
import mergeMoments from '../../shaders/moments_merge.wgsl';
import narrowMoments from '../../shaders/moments_partial.wgsl';
import wideMoments from '../../shaders/moments_wide.wgsl';
import mergeSums from '../../shaders/norm_sums_merge.wgsl';
import narrowSums from '../../shaders/norm_sums_partial.wgsl';
import wideSums from '../../shaders/norm_sums_wide.wgsl';

export const moments = { wide: wideMoments, narrow: narrowMoments, merge: mergeMoments };
export const normSums = { wide: wideSums, narrow: narrowSums, merge: mergeSums };
