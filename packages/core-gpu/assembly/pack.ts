export { adamw } from "./adamw";
export { col2im, depthwiseGradient, im2col } from "./convolution";
export { gemm, gemmScratch } from "./gemm";
export { nearestDistances, nearestRows, nearestScratch, packCodes } from "./nearest";
export { gatherRows, segmentSum } from "./rows";
