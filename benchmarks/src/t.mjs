import * as tf from '@tensorflow/tfjs-core'
import { AdamW, key, train, useBackend } from '@x/core-gpu'
import { DigitsAutoencoder } from './tasks/vq/digits/autoencoder.ts'
import { makeQuantizer } from './tasks/vq/digits/quantizers.ts'
const device = await useBackend(process.argv[2] ?? 'tensorflow')
const model = new DigitsAutoencoder(makeQuantizer('vq', {codebookSize:512}, key(1)), key(2))
const x = tf.keep(key(3).uniform([64,784]))
const W=[],C=[]; let t,c
await train(model,{ steps: 620, optimizer:new AdamW({learningRate:1e-3,weightDecay:0}), key:key(4), progress:'silent', data:()=>tf.clone(x),
 loss:(x,{key})=>{ const {digits,quantization}=model.forward(x,{training:true,key}); const r=tf.mean(tf.squaredDifference(digits,x)); return {loss:tf.add(r,quantization.loss),metrics:{reconstruction:r}} },
 onStep:({step})=>{ if(step%20===19){ if(t){W.push((performance.now()-t)/20); const u=process.cpuUsage(c); C.push((u.user+u.system)/20000)} t=performance.now(); c=process.cpuUsage() } } })
W.sort((a,b)=>a-b);C.sort((a,b)=>a-b);console.log(process.argv[2],'digits ms wall min/med',W[0].toFixed(2),W[7].toFixed(2),'cpu',C[0].toFixed(2),C[7].toFixed(2))
