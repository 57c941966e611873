// What every use of this package needs from the core.
export { key, type Key, useBackend } from '@x/core-gpu'
export { ChannelsFirst } from './adapters/channels-first.ts'
export { Projected, type ProjectedOptions } from './adapters/projected.ts'
export { type Assignment, nearest } from './assignment/nearest.ts'
export { largestDot, sampleCodes, sampled, type SampledOptions } from './assignment/sampled.ts'
export { overRows, type OverRowsOptions, type RowFunction } from './assignment/rows.ts'
export { distanceScore, dotScore, type Score, type ScoreName } from './assignment/scores.ts'
export {
  sinkhorn,
  type SinkhornOptions,
  transported,
  type TransportedOptions,
  type TransportPlan,
} from './assignment/transported.ts'
export {
  AffineCodebook,
  type AffineCodebookOptions,
  RunningAffineCodebook,
  type RunningAffineCodebookOptions,
} from './codebooks/affine.ts'
export { VqBridge, type VqBridgeOptions } from './codebooks/bridge.ts'
export { type Assigned, type Codebook, type CodeInitialiser, normalCodes, uniformCodes } from './codebooks/codebook.ts'
export { EmaCodebook, type EmaCodebookOptions } from './codebooks/ema.ts'
export { FreeCodebook, type FreeCodebookOptions } from './codebooks/free.ts'
export { frozen } from './codebooks/frozen.ts'
export { InPlaceCodebook, type InPlaceOptions } from './codebooks/in-place.ts'
export { LinearCodebook, type LinearCodebookOptions } from './codebooks/linear.ts'
export {
  directional,
  directionalEstimator,
  type DirectionalOptions,
  noiseEstimator,
  noiseSubstitution,
} from './estimators/directional.ts'
export {
  type Choice,
  type Estimator,
  estimator,
  type PlainEstimator,
  straightThrough,
  straightThroughWith,
  synchronised,
} from './estimators/estimator.ts'
export { rotateTo, type RotationOptions, rotationTrick } from './estimators/rotation.ts'
export { softIndexEstimator, type SoftIndexOptions, softOneHot, throughIndex } from './estimators/soft-index.ts'
export { ditheredCodes, nearestSegment, spaceFilling, spaceFillingEstimator } from './estimators/space-filling.ts'
export { type Clusters, type DataStart, kMeans, type KMeansOptions, kMeansStart } from './initialisation/k-means.ts'
export { crossEntropy, crossEntropyLoss, type CrossEntropyOptions } from './losses/cross-entropy.ts'
export { diversityLoss, type DiversityLossOptions, type DiversityOptions, negativeEntropy } from './losses/diversity.ts'
export { choiceEntropy, entropyLoss, type EntropyLossOptions, uniformPriorLoss } from './losses/entropy.ts'
export { valueLoss } from './losses/index-propagation.ts'
export { codebookLoss, commitmentLoss, type LossBatch, type LossTerm, type Pairs } from './losses/losses.ts'
export { orthogonality, orthogonalLoss, type OrthogonalOptions } from './losses/orthogonal.ts'
export { squareRoot, wassersteinDistance, wassersteinLoss } from './losses/wasserstein.ts'
export { lengthMask } from './masks.ts'
export { methods } from './methods/methods.ts'
export {
  BinaryMapper,
  binaryMapper,
  type BinaryMapperOptions,
  type MapOptions,
  type Mapping,
} from './methods/binary-mapper/binary-mapper.ts'
export { bsq, type BsqOptions } from './methods/bsq/bsq.ts'
export { cosineVq, type CosineVqOptions } from './methods/cosine-vq/cosine-vq.ts'
export { diveq, type DiveqOptions } from './methods/diveq/diveq.ts'
export { fsp, type FspOptions } from './methods/fsp/fsp.ts'
export { fsq, type FsqOptions } from './methods/fsq/fsq.ts'
export { groupedResidualVq, type GroupedResidualVqOptions } from './methods/grouped-residual-vq/grouped-residual-vq.ts'
export { ifsq, type IfsqOptions } from './methods/ifsq/ifsq.ts'
export {
  latentQuantization,
  type LatentQuantizationOptions,
} from './methods/latent-quantization/latent-quantization.ts'
export { lfq, type LfqOptions } from './methods/lfq/lfq.ts'
export { multiHeadVq, type MultiHeadVqOptions } from './methods/multi-head-vq/multi-head-vq.ts'
export { multiScaleVq, type MultiScaleVqOptions } from './methods/multi-scale-vq/multi-scale-vq.ts'
export { qinco, type QincoOptions } from './methods/qinco/qinco.ts'
export {
  RandomProjection,
  randomProjection,
  type RandomProjectionOptions,
} from './methods/random-projection/random-projection.ts'
export { residualFsq, type ResidualFsqOptions } from './methods/residual-fsq/residual-fsq.ts'
export { residualLfq, type ResidualLfqOptions } from './methods/residual-lfq/residual-lfq.ts'
export { residualSimvq, type ResidualSimvqOptions } from './methods/residual-simvq/residual-simvq.ts'
export { residualVq, type ResidualVqOptions } from './methods/residual-vq/residual-vq.ts'
export { gumbel, type GumbelOptions } from './methods/gumbel/gumbel.ts'
export { ibq, type IbqOptions } from './methods/ibq/ibq.ts'
export { nsvq, type NsvqOptions } from './methods/nsvq/nsvq.ts'
export { optvq, type OptvqOptions } from './methods/optvq/optvq.ts'
export { rotation, type RotationMethodOptions } from './methods/rotation/rotation.ts'
export { sfDiveq, type SfDiveqOptions } from './methods/sf-diveq/sf-diveq.ts'
export { simvq, type SimvqOptions } from './methods/simvq/simvq.ts'
export { vqBridge, type VqBridgeMethodOptions } from './methods/vq-bridge/vq-bridge.ts'
export { vq, type VqOptions } from './methods/vq/vq.ts'
export { vqEma, type VqEmaOptions } from './methods/vq-ema/vq-ema.ts'
export { vqStePlusPlus, type VqStePlusPlusOptions } from './methods/vq-ste-plus-plus/vq-ste-plus-plus.ts'
export { wassersteinVq, type WassersteinVqOptions } from './methods/wasserstein-vq/wasserstein-vq.ts'
export { cosine, euclidean, type Metric } from './metric.ts'
export { type CodebookUsage, measureQuantizer, QuantizationMeter, type QuantizationStatistics } from './metrics.ts'
export type { ChoiceOptions, CodebookOptions } from './options.ts'
export {
  CodebookQuantizer,
  type CodebookQuantizerParts,
  type Pass,
  type Quantization,
  type QuantizeOptions,
  type Quantizer,
} from './quantizer.ts'
export { fromPyTorch, toPyTorch, type ToPyTorchOptions } from './pytorch/index.ts'
export { DeadCodes, type DeadCodesOptions, type Revival } from './revival/dead-codes.ts'
export { OnlineClusters, type OnlineClustersOptions } from './revival/online-clusters.ts'
export { RareCodes, type RareCodesOptions } from './revival/rare-codes.ts'
export { type Bound, boundGrid, type BoundName, makeBound, sigmoidBound, type Squash } from './scalar/bounds.ts'
export { binaryGrid, type BinaryGridOptions } from './scalar/binary.ts'
export { type Distribution, type DistributionName, distributions } from './scalar/distributions.ts'
export { bitEntropies, type BitEntropies } from './scalar/entropy.ts'
export { momentLoss, type MomentWeights } from './scalar/moments.ts'
export {
  type Grid,
  type GridContext,
  type Gridded,
  type ScalarBatch,
  ScalarQuantizer,
  type ScalarQuantizerParts,
} from './scalar/scalar-quantizer.ts'
export type { Step } from './step.ts'
export { type BeamOptions, beamSearch, type CodeSearch } from './structures/beam.ts'
export { GroupedQuantizer, type GroupedOptions } from './structures/grouped.ts'
export { type ImplicitOptions, ImplicitResidualQuantizer } from './structures/implicit.ts'
export { SharedHeads } from './structures/multi-head.ts'
export { type MultiScaleOptions, MultiScaleQuantizer } from './structures/multi-scale.ts'
export type { LayersOptions, PartOptions } from './structures/options.ts'
export { type LayerDropout, type ResidualOptions, ResidualQuantizer } from './structures/residual.ts'
export { ScaledQuantizer } from './structures/scaled.ts'
