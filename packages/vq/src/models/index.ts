export { type VqVaeConfig, vqVaeConfigs } from './vq-vae/config.ts'
