export { key, type Key, useBackend } from '@x/core-gpu'
export type { Denoiser, Guidance } from './denoiser.ts'
export { energyDistance, type PairEstimateOptions } from './distances/energy-distance.ts'
export { type GaussianMoments, gaussianWasserstein, momentsOf } from './distances/gaussian-wasserstein.ts'
export { maximumMeanDiscrepancy, type MaximumMeanDiscrepancyOptions } from './distances/maximum-mean-discrepancy.ts'
export { slicedWasserstein, type SlicedWassersteinOptions } from './distances/sliced-wasserstein.ts'
export type { Distribution } from './distributions/distribution.ts'
export {
  type CovarianceFieldOptions,
  type GaussianField,
  gaussianField,
  type GaussianFieldOptions,
  type SpectralFieldOptions,
} from './distributions/gaussian-field.ts'
export { type GaussianMixture, gaussianMixture, type GaussianMixtureOptions } from './distributions/gaussian-mixture.ts'
export {
  checkerboard,
  gaussianRing,
  type ModesOptions,
  moons,
  pinwheel,
  type PlanarSetOptions,
  rings,
  spirals,
} from './distributions/planar-sets.ts'
export { type Grid, requireGrid } from './grid.ts'
export { betaGrid, type BetaGridOptions } from './grids/beta-grid.ts'
export { customGrid, gridOfEdmSigmas, lastSteps } from './grids/custom-grid.ts'
export { exponentialGrid, type ExponentialGridOptions } from './grids/exponential-grid.ts'
export { karrasGrid } from './grids/karras-grid.ts'
export { logSnrGrid } from './grids/log-snr-grid.ts'
export type { FinalLevel, GridOptions } from './grids/nodes.ts'
export { timeGrid, type TimeGridOptions } from './grids/time-grid.ts'
export { autoGuidance, type AutoGuidanceOptions } from './guidance/auto-guidance/auto-guidance.ts'
export { classifierFree, type ClassifierFreeOptions } from './guidance/classifier-free/classifier-free.ts'
export { compose } from './guidance/compose.ts'
export { edmInterval, type LevelInterval, limitedInterval } from './guidance/limited-interval/limited-interval.ts'
export { type HookedDenoiser, type NetworkHooks, withHooks } from './guidance/network-hooks.ts'
export { perturbedAttention } from './guidance/perturbed-attention/perturbed-attention.ts'
export { skipScales, type SkipScalesOptions, skipTuning } from './guidance/skip-tuning/skip-tuning.ts'
export { type HeavisideOptions, heavisideWeight, upsample, type UpsampleOptions } from './guidance/upsample/upsample.ts'
export type { GuidanceWeight } from './guidance/weight.ts'
export {
  bitsPerDimension,
  type LikelihoodStep,
  type LogLikelihood,
  logLikelihood,
  type LogLikelihoodOptions,
  type TraceProbes,
} from './likelihood/log-likelihood.ts'
export { type DiffusionLoss, diffusionLoss, type DiffusionLossOptions } from './losses/diffusion-loss.ts'
export {
  type LearnedVarianceLoss,
  learnedVarianceLoss,
  type LearnedVarianceLossOptions,
} from './losses/learned-variance-loss.ts'
export { type MultiscaleOptions, multiscaleSquares } from './losses/multiscale-squares.ts'
export { type TrainingTimes, trainingTimes } from './losses/training-times.ts'
export {
  edmWeight,
  type ErrorMeasure,
  type LossWeight,
  minSnrWeight,
  p2Weight,
  type P2WeightOptions,
  sigmoidWeight,
  uniformWeight,
  weightOn,
} from './losses/weights.ts'
export { alphaOf, edmSigmaOf, type LogSnr, logSnrOfEdmSigma, sigmaOf } from './noise-level.ts'
export { addNoise, type NoiseSource } from './noise/add-noise.ts'
export { sampleNoise } from './noise/sample-noise.ts'
export { startNoise, type StartNoiseOptions } from './noise/start-noise.ts'
export { clampDenoised, type ClampDenoisedOptions } from './predictions/clamp-denoised.ts'
export { lcmBoundary, type LcmBoundaryOptions } from './predictions/consistency-boundary.ts'
export { convertPrediction, type ConvertPredictionOptions, type Prediction } from './predictions/convert-prediction.ts'
export { dynamicThreshold, type DynamicThresholdOptions } from './predictions/dynamic-threshold.ts'
export {
  hasLearnedVariance,
  learnedVariance,
  type LearnedVarianceDenoiser,
  learnedVarianceDenoiser,
} from './predictions/learned-variance.ts'
export { mapDenoised } from './predictions/map-denoised.ts'
export { denoiserOf, type Network } from './predictions/network.ts'
export {
  consistencyParameterisation,
  type ConsistencyParameterisationOptions,
  edmParameterisation,
  type EdmParameterisationOptions,
  flowParameterisation,
  type FlowParameterisationOptions,
  type Parameterisation,
  vpParameterisation,
  type VpParameterisationOptions,
} from './predictions/parameterisation.ts'
export type { Sampler, SampleOptions, SamplerStep } from './sampler.ts'
export {
  adaptive,
  errorBetween,
  type StepControl,
  type Tolerances,
  type Trial,
  type TryStep,
} from './samplers/adaptive.ts'
export type { AveragedOptions } from './samplers/averaged-prediction.ts'
export { amed, type AmedOptions, type AmedPoint } from './samplers/amed/amed.ts'
export {
  AmedPredictor,
  type AmedPredictorOptions,
  type AmedTable,
  fitAmedPredictor,
  type FitAmedPredictorOptions,
} from './samplers/amed/amed-predictor.ts'
export {
  insertAmedPoints,
  type TeacherOptions,
  trainAmed,
  trainAmedGrid,
  type TrainAmedGridOptions,
  type TrainAmedOptions,
} from './samplers/amed/train-amed.ts'
export { combine, type Term } from './samplers/combine.ts'
export { consistency, type ConsistencyOptions } from './samplers/consistency/consistency.ts'
export { ddimInversion, type DdimInversionOptions } from './samplers/ddim-inversion/ddim-inversion.ts'
export { ddim, type DdimOptions } from './samplers/ddim/ddim.ts'
export { ddpm, type DdpmOptions } from './samplers/ddpm/ddpm.ts'
export { defineSampler, type SamplerMethod } from './samplers/define-sampler.ts'
export { deis, type DeisOptions } from './samplers/deis/deis.ts'
export { dpmSolverAdaptive, type DpmSolverAdaptiveOptions } from './samplers/dpm-solver-adaptive/dpm-solver-adaptive.ts'
export { dpmSolverFast, type DpmSolverFastOptions } from './samplers/dpm-solver-fast/dpm-solver-fast.ts'
export {
  dpmSolverAncestral,
  type DpmSolverAncestralOptions,
} from './samplers/dpm-solver-ancestral/dpm-solver-ancestral.ts'
export {
  dpmSolverMultistep,
  type DpmSolverMultistepOptions,
} from './samplers/dpm-solver-multistep/dpm-solver-multistep.ts'
export {
  dpmSolverSinglestep,
  type DpmSolverSinglestepOptions,
} from './samplers/dpm-solver-singlestep/dpm-solver-singlestep.ts'
export { dpm2Ancestral, type Dpm2AncestralOptions } from './samplers/dpm2-ancestral/dpm2-ancestral.ts'
export { dpm2 } from './samplers/dpm2/dpm2.ts'
export { eulerAncestral, type EulerAncestralOptions } from './samplers/euler-ancestral/euler-ancestral.ts'
export { euler } from './samplers/euler/euler.ts'
export type { Predicted } from './samplers/exponential.ts'
export { heun, type HeunOptions } from './samplers/heun/heun.ts'
export { ipndm, type IpndmOptions } from './samplers/ipndm/ipndm.ts'
export { lcm } from './samplers/lcm/lcm.ts'
export { lms, type LmsOptions } from './samplers/lms/lms.ts'
export type { StepNoise } from './samplers/noise-over.ts'
export { plms } from './samplers/plms/plms.ts'
export { pndm, type PndmOptions } from './samplers/pndm/pndm.ts'
export {
  predictorCorrector,
  type PredictorCorrectorOptions,
} from './samplers/predictor-corrector/predictor-corrector.ts'
export { rectifiedFlow, type RectifiedFlowOptions } from './samplers/rectified-flow/rectified-flow.ts'
export { repaint, type RepaintOptions } from './samplers/repaint/repaint.ts'
export { rk45, type Rk45Options } from './samplers/rk45/rk45.ts'
export { samplers } from './samplers/samplers.ts'
export { saSolver, type SaSolverOptions } from './samplers/sa-solver/sa-solver.ts'
export {
  sdeDpmSolverMultistep,
  type SdeDpmSolverMultistepOptions,
} from './samplers/sde-dpm-solver-multistep/sde-dpm-solver-multistep.ts'
export {
  sdeDpmSolverSinglestep,
  type SdeDpmSolverSinglestepOptions,
} from './samplers/sde-dpm-solver-singlestep/sde-dpm-solver-singlestep.ts'
export {
  type Arrival,
  type Interval,
  type SamplerNeeds,
  type Sampling,
  type Step,
  stepwise,
} from './samplers/stepwise.ts'
export { tcd, type TcdOptions } from './samplers/tcd/tcd.ts'
export { unipc, type UnipcOptions } from './samplers/unipc/unipc.ts'
export type { Schedule, SmoothSchedule } from './schedule.ts'
export { clipSchedule } from './schedules/clip-schedule.ts'
export { cosineSchedule } from './schedules/cosine/cosine.ts'
export { shiftedCosineSchedule, type ShiftedCosineScheduleOptions } from './schedules/cosine/shifted-cosine.ts'
export { flowSchedule, type FlowScheduleOptions } from './schedules/flow/flow.ts'
export { karrasSchedule, type KarrasScheduleOptions } from './schedules/karras/karras.ts'
export { linearLogSnrSchedule } from './schedules/linear-log-snr/linear-log-snr.ts'
export { logNormalSchedule, type LogNormalScheduleOptions } from './schedules/log-normal/log-normal.ts'
export type { LogSnrRange } from './schedules/log-snr-range.ts'
export { logitNormalTimes, type LogitNormalTimesOptions } from './schedules/logit-normal-times.ts'
export {
  interpolatedShift,
  type InterpolatedShiftOptions,
  type LogSnrShift,
  resolutionShift,
  type ResolutionShiftOptions,
  shiftSchedule,
} from './schedules/shift-schedule.ts'
export { sigmoidSchedule, type SigmoidScheduleOptions } from './schedules/sigmoid/sigmoid.ts'
export { type ScheduleParts, slopeOf, smoothSchedule, timeOf } from './schedules/smooth-schedule.ts'
export { veSchedule, type VeScheduleOptions } from './schedules/ve/ve.ts'
export { scaledLinearSchedule, vpSchedule, type VpScheduleOptions } from './schedules/vp/vp.ts'
export {
  alphaBars,
  type BetasOptions,
  cosineBetas,
  type CosineBetasOptions,
  linearBetas,
  posteriorVariances,
  scaledLinearBetas,
  zeroTerminalSnr,
} from './timesteps/betas.ts'
export {
  lcmTimesteps,
  type LcmTimestepsOptions,
  spacedTimesteps,
  type SpacedTimestepsOptions,
  type TimestepSpacing,
} from './timesteps/spaced-timesteps.ts'
export { throughTimesteps, timestepGrid, type TimestepGridOptions } from './timesteps/timestep-grid.ts'
export { type TimestepTable, timestepTable, type TimestepTableOptions } from './timesteps/timestep-table.ts'
