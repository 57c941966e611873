export { adamw } from "./adamw";
export {
  attendDelta, attendGradientBlocks, attendGradientScratch, attendKeyGradients, attendPackKeys, attendPackQueries,
  attendPackedKeys, attendPackedQueries, attendQueryGradients,
} from "./attend-backward";
export { attendMerge, attendSpan, attendSpanBytes, attendSpanScratch, attendSpans } from "./attend-cached";
export { attendBlocks, attendPack, attendPackedBytes, attendRows, attendScratch } from "./attend-forward";
export {
  convFilterParts, convFilterScratch, convInputImages, convRows, convScratch, depthwiseGradient, sumParts,
} from "./convolution";
export { gemmBatch, gemmFewRows, gemmRows, gemmScratch, packPanels } from "./gemm";
export { nearestDistances, nearestRows, nearestScratch, nearestTop, nearestTopScratch, packCodes } from "./nearest";
export { gatherRows, segmentSum } from "./rows";
