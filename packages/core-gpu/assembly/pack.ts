export { adamw } from "./adamw";
export {
  convFilterParts, convFilterScratch, convInputImages, convRows, convScratch, depthwiseGradient, sumParts,
} from "./convolution";
export { gemmBatch, gemmFewRows, gemmRows, gemmScratch, packPanels } from "./gemm";
export { nearestDistances, nearestRows, nearestScratch, packCodes } from "./nearest";
export { gatherRows, segmentSum } from "./rows";
