import * as tf from '@tensorflow/tfjs-core'
import { useBackend } from '@x/core-gpu'
await useBackend('tensorflow')
const N=4096,D=64,K=8192
const x=tf.randomNormal([N,D]), c=tf.randomNormal([K,D]); x.dataSync(); c.dataSync()
const aug=()=>({ xa: tf.concat([x,tf.ones([N,1])],1), ca: tf.concat([tf.mul(c,-2),tf.sum(tf.square(c),1,true)],1)})
const finish=(ids)=>tf.sum(tf.squaredDifference(x,tf.gather(c,ids)),1)
const rowsOnly=R=>()=>{ const {xa,ca}=aug(); const out=[]; for(let r=0;r<N;r+=R) out.push(tf.tidy(()=>tf.argMin(tf.matMul(tf.slice(xa,[r,0],[R,D+1]),ca,false,true),1))); return finish(tf.concat(out)) }
const rowsOnlyBias=R=>()=>{ const c2=tf.mul(c,-2), n=tf.sum(tf.square(c),1); const out=[]; for(let r=0;r<N;r+=R) out.push(tf.tidy(()=>tf.argMin(tf.add(n,tf.matMul(tf.slice(x,[r,0],[R,D]),c2,false,true)),1))); return finish(tf.concat(out)) }
const rowsOnlyNN=R=>()=>{ const {xa,ca}=aug(); const ct=tf.transpose(ca); const out=[]; for(let r=0;r<N;r+=R) out.push(tf.tidy(()=>tf.argMin(tf.matMul(tf.slice(xa,[r,0],[R,D+1]),ct),1))); return finish(tf.concat(out)) }
// chunks of codes, tournament of minimum, then argmin, then which chunk
const tour=(R,C)=>()=>{ const {xa,ca}=aug(); const out=[]; for(let r=0;r<N;r+=R) out.push(tf.tidy(()=>{ const xr=tf.slice(xa,[r,0],[R,D+1]); let best=null; for(let k=0;k<K;k+=C){ const s=tf.matMul(xr,tf.slice(ca,[k,0],[C,D+1]),false,true); if(!best) best=s; else {const n=tf.minimum(best,s); tf.dispose([best,s]); best=n} } return tf.argMin(best,1)})); return finish(tf.concat(out)) }
const two=(R,G)=>()=>{ const {xa,ca}=aug(); const out=[]; for(let r=0;r<N;r+=R) out.push(tf.tidy(()=>{ const s=tf.matMul(tf.slice(xa,[r,0],[R,D+1]),ca,false,true); const m=tf.min(tf.reshape(s,[R,G,K/G]),1); return tf.argMin(m,1)})); return finish(tf.concat(out)) }
const all={ 'rows256':rowsOnly(256),'rows128':rowsOnly(128),'rows512':rowsOnly(512),'rows1024':rowsOnly(1024),'rows64':rowsOnly(64),bias256:rowsOnlyBias(256),nn256:rowsOnlyNN(256),'tour1024x512':tour(1024,512),'tour4096x512':tour(4096,512),'two256x16':two(256,16),'two512x16':two(512,16) }
const R={}
for(let i=0;i<9;i++) for(const [n,f] of Object.entries(all)){ const c=process.cpuUsage(),t=performance.now(); const y=tf.tidy(f); y.dataSync(); const u=process.cpuUsage(c); y.dispose(); (R[n]??=[[],[]])[0].push(performance.now()-t); R[n][1].push((u.user+u.system)/1000)}
for(const [n,[w,c]] of Object.entries(R)){w.sort((a,b)=>a-b);c.sort((a,b)=>a-b);console.log(n.padEnd(15),'wall',w[0].toFixed(0),w[4].toFixed(0),'cpu',c[0].toFixed(0),c[4].toFixed(0))}
