/**
 * Runs `onInterrupt` at the first Ctrl-C; a second one then ends the process as usual.
 * @returns a function that takes the handler away
 */
export function onFirstInterrupt(onInterrupt: () => void): () => void {
  const process = nodeProcess()
  if (!process) return () => {}
  const handler = (): void => {
    process.off('SIGINT', handler)
    onInterrupt()
  }
  process.on('SIGINT', handler)
  return () => process.off('SIGINT', handler)
}

/** The process, in Node and what is like it; undefined in browsers. */
export function nodeProcess(): NodeJS.Process | undefined {
  const process = globalThis.process as NodeJS.Process | undefined
  return typeof process?.on === 'function' && process.versions?.node ? process : undefined
}
