import * as tf from '@tensorflow/tfjs-core'
import { AdamW, key, train, useBackend } from '@x/core-gpu'
import { DigitsAutoencoder } from './tasks/vq/digits/autoencoder.ts'
import { makeQuantizer } from './tasks/vq/digits/quantizers.ts'
const device = await useBackend(process.argv[2] ?? 'tensorflow')
const model = new DigitsAutoencoder(makeQuantizer('vq', {codebookSize:512}, key(1)), key(2))
const x = tf.keep(key(3).uniform([64,784]))
const W=[],C=[]; let t,c
await train(model,{ steps: 320, optimizer:new AdamW({learningRate:1e-3,weightDecay:0}), key:key(4), progress:'silent', data:()=>tf.clone(x),
 loss:(x,{key})=>{ const {digits,quantization}=model.forward(x,{training:true,key}); const r=tf.mean(tf.squaredDifference(digits,x)); return {loss:tf.add(r,quantization.loss),metrics:{reconstruction:r}} },
 onStep:({step})=>{ if(step%20===19){ if(t){W.push((performance.now()-t)/20); const u=process.cpuUsage(c); C.push((u.user+u.system)/20000)} t=performance.now(); c=process.cpuUsage() } } })
W.sort((a,b)=>a-b);C.sort((a,b)=>a-b);console.log(process.argv[2],'digits ms wall min/med',W[0].toFixed(2),W[7].toFixed(2),'cpu',C[0].toFixed(2),C[7].toFixed(2))
const b=tf.backend()
if(b.binding){ const names={}; const f=b.binding.executeOp; let n=0; const orig=b.executeSingleOutput; const om=b.executeMultipleOutputs
 const wrap=(o)=>function(name,...r){const t=performance.now(); const y=o.call(this,name,...r); (names[name]??=[0,0])[0]++; names[name][1]+=performance.now()-t; return y}
 b.executeSingleOutput=wrap(orig); b.executeMultipleOutputs=wrap(om)
 await train(model,{ steps: 10, optimizer:new AdamW({learningRate:1e-3,weightDecay:0}), key:key(4), progress:'silent', data:()=>tf.clone(x),
 loss:(x,{key})=>{ const {digits,quantization}=model.forward(x,{training:true,key}); const r=tf.mean(tf.squaredDifference(digits,x)); return {loss:tf.add(r,quantization.loss),metrics:{reconstruction:r}} }})
 let s=0,m=0; for(const [k,[c,t]] of Object.entries(names).sort((a,b)=>b[1][1]-a[1][1])){ if(t>0.3) console.log(k.padEnd(25),(c/10).toFixed(1),(t/10).toFixed(3)); s+=c/10;m+=t/10 } console.log('total',s,m)
}
{ const k=tf.getKernel('Reshape','tensorflow'); let same=0,all=0; const st={}; tf.unregisterKernel('Reshape','tensorflow'); tf.registerKernel({...k,kernelFunc:(a)=>{all++; const s=a.inputs.x.shape+''===a.attrs.shape+''; if(s) same++; const key=`[${a.inputs.x.shape}]->[${a.attrs.shape}]`; st[key]=(st[key]??0)+1; return k.kernelFunc(a)}})
 await train(model,{ steps: 1, optimizer:new AdamW({learningRate:1e-3,weightDecay:0}), key:key(4), progress:'silent', data:()=>tf.clone(x),
 loss:(x,{key})=>{ const {digits,quantization}=model.forward(x,{training:true,key}); const r=tf.mean(tf.squaredDifference(digits,x)); return {loss:tf.add(r,quantization.loss),metrics:{reconstruction:r}} }})
 console.log(same,all,st)
}
