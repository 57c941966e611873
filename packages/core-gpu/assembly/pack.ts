export { activate, activationGradient } from "./activations";
export { adamw } from "./adamw";
export {
  attendDelta, attendGradientBlocks, attendGradientScratch, attendKeyGradients, attendPackKeys, attendPackQueries,
  attendPackedKeys, attendPackedQueries, attendQueryGradients,
} from "./attend-backward";
export { attendMerge, attendSpan, attendSpanBytes, attendSpanScratch, attendSpans } from "./attend-cached";
export { attendBlocks, attendPack, attendPackedBytes, attendRows, attendScratch } from "./attend-forward";
export { attendGroupGradients, attendGroupScratch } from "./attend-groups";
export {
  convFilterParts, convFilterScratch, convInputImages, convRows, convScratch, sumParts,
} from "./convolution";
export { depthwiseFilterParts, depthwiseInputLines, depthwiseLines } from "./depthwise";
export { gemmBatch, gemmFewRows, gemmRows, gemmScratch, packPanels } from "./gemm";
export { nearestDistances, nearestRows, nearestScratch, nearestTop, nearestTopScratch, packCodes } from "./nearest";
export { groupNormGradientSets, groupNormSets, normGradientParts, normRows } from "./norms";
export { columnParts, columnSums, rowSums, spreadRows } from "./reductions";
export { rotateRows } from "./rotary";
export { gatherRows, segmentSum } from "./rows";
export { logSoftmaxGradientRows, logSoftmaxRows, softmaxGradientRows, softmaxRows } from "./softmax";
