/** What `import ... from 'segsort-webgpu'` gives, the same in Node and in browsers. */
export * from './autograd/accumulator.js';
export * from './autograd/grad.js';
export { LossScale, type LossScaleOptions, type ScaledGradients } from './autograd/loss_scale.js';
export { RECOMPUTE_MODES, type RecomputeMode, recomputable, recompute } from './autograd/recompute.js';
export * from './autograd/sgd.js';
export * from './checkpoints/host_tensors.js';
export { serializeNpy } from './checkpoints/numpy_header.js';
export { openTensorFile } from './checkpoints/open.js';
export * from './checkpoints/safetensors.js';
export * from './checkpoints/safetensors_writer.js';
export {
  type CheckpointFormat,
  CheckpointFormatError,
  type DType as StoredDType,
  type StoredTensor,
  type TensorData,
  type TensorEntry,
  type TensorFile,
} from './checkpoints/tensor_file.js';
export { detectContours, type OrientedContours } from './contours/detector.js';
export { type ContourGrid, gridOfRegions, regionsOfGrid } from './contours/grid.js';
export { type Merge, RegionHierarchy, type RegionMap } from './contours/hierarchy.js';
export { oversegment, regionHierarchy } from './contours/oversegmentation.js';
export * from './data/augment.js';
export * from './data/builtin_descriptions.js';
export * from './data/check.js';
export {
  decodeIds,
  decodeImage,
  decodeLabels,
  encodeGreyPng,
  encodeIdPng,
  encodePalettePng,
  encodePng,
  imageSize,
} from './data/codecs.js';
export * from './data/dataset.js';
export * from './data/description.js';
export * from './data/description_file.js';
export { DataError } from './data/errors.js';
export * from './data/image.js';
export type { Finding } from './data/inspect.js';
export { type InstanceEncoding, type LabelReading, PLAIN_LABELS } from './data/label_reading.js';
export * from './data/lists.js';
export { type Batch, Loader, type LoaderOptions } from './data/loader.js';
export { parseRegionRule, type RegionRule } from './data/region_rule.js';
export * from './evaluation/boundaries.js';
export * from './evaluation/boundaries_regions.js';
export { BoundaryF, type BoundaryFOptions, type BoundaryFResult } from './evaluation/boundary_f.js';
export { ConfusionMatrix, type SegmentationScore } from './evaluation/confusion.js';
export type { LabelMap } from './evaluation/label_map.js';
export * from './evaluation/panoptic.js';
export * from './evaluation/regions.js';
export * from './evaluation/trimap.js';
export * from './models/checkpoint.js';
export * from './models/deeplab_v2.js';
export * from './models/deeplab_v3.js';
export * from './models/deeplab_v3plus.js';
export * from './models/design.js';
export * from './models/designs.js';
export * from './models/fcn.js';
export * from './models/fold.js';
export * from './models/halves.js';
export * from './models/layers.js';
export * from './models/mobilenet_v2.js';
export * from './models/network.js';
export * from './models/parameter.js';
export * from './models/pspnet.js';
export * from './models/resnet.js';
export * from './models/skip_head.js';
export * from './models/statistics.js';
export {
  type RestoreOptions,
  type RestoreReport,
  recogniseWeights,
  restoreWeights,
  WeightsError,
} from './models/weights.js';
export {
  blobFile,
  FileError,
  type FileSource,
  fetchFiles,
  memoryFile,
  memoryFiles,
  type RandomAccessFile,
} from './platform/files.js';
export * from './platform/gpu.js';
export type { MatrixUnits, SubgroupMatrixConfig } from './platform/matrix_units.js';
export { browserTuningStore, TuningCache, type TuningStore } from './platform/tuning_cache.js';
export * from './segsort/affinity_loss.js';
export * from './segsort/clustering.js';
export * from './segsort/knn.js';
export * from './segsort/label_maps.js';
export * from './segsort/loss.js';
export * from './segsort/memory_banks.js';
export * from './segsort/objectives/affinity.js';
export * from './segsort/objectives/objective.js';
export * from './segsort/objectives/segsort.js';
export * from './segsort/objectives/softmax.js';
export * from './segsort/objectives/unsupervised.js';
export { checkCapacity } from './segsort/ops/segments.js';
export * from './segsort/panoptic.js';
export * from './segsort/prototype_table.js';
export * from './segsort/prototypes.js';
export * from './segsort/retrieval.js';
export * from './segsort/segmenter.js';
export * from './segsort/step_parts.js';
export * from './segsort/trainer.js';
export {
  checkViews,
  RELEASED_SCALES,
  type ViewOptions,
  windowOrigins,
} from './segsort/views.js';
export { type Argument, CompiledStep, Result, type Results, type Values } from './tensor/compiled_step.js';
export {
  apply,
  apply1,
  assign,
  constant,
  Graph,
  type ResidentLike,
  scalar,
  scope,
  Tensor,
  type TensorLike,
} from './tensor/graph.js';
export { fromHalf, toHalf } from './tensor/half.js';
export { interpret } from './tensor/interpret.js';
export {
  type AdapterFacts,
  type Command,
  type Copy,
  type Dispatch,
  type GradContext,
  input,
  type Kernel,
  type KernelContext,
  linearGrid,
  type Op,
  OpError,
  output,
  type Sample as OpSample,
  scratch,
} from './tensor/op.js';
export * from './tensor/ops/along.js';
export * from './tensor/ops/batch_norm.js';
export * from './tensor/ops/cast.js';
export * from './tensor/ops/conv.js';
export * from './tensor/ops/depthwise.js';
export * from './tensor/ops/elementwise.js';
export * from './tensor/ops/gather.js';
export * from './tensor/ops/image.js';
export { allOps } from './tensor/ops/index.js';
export * from './tensor/ops/layout.js';
export * from './tensor/ops/matmul.js';
export * from './tensor/ops/non_finite.js';
export * from './tensor/ops/normalize.js';
export * from './tensor/ops/pack.js';
export * from './tensor/ops/pool.js';
export * from './tensor/ops/random.js';
export * from './tensor/ops/reduce.js';
export * from './tensor/ops/resize.js';
export * from './tensor/ops/select_k.js';
export * from './tensor/ops/shape.js';
export { dumpPlan, makePlan, type Plan, type PlanStep } from './tensor/plan.js';
export {
  type HostSpan,
  type RecordedReplay,
  type Recorder,
  type Recording,
  record,
  type StepTime,
} from './tensor/recorder.js';
export { NonFiniteError } from './tensor/replay.js';
export * from './tensor/resident.js';
export * from './tensor/runtime.js';
export { type KernelOverrides, parseKernelOverrides } from './tensor/select.js';
export { type Returned, type Trace, traceStep } from './tensor/trace.js';
export { type TunedChoice, type TuneOptions, tunePlans } from './tensor/tune.js';
export type { TuningTable } from './tensor/tuning.js';
export * from './tensor/types.js';
export { kernelVariants, type Variant } from './tensor/variants.js';
