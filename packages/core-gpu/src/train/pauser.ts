/**
 * Gives way to everything else from time to time: steps on WebAssembly wait for nothing, and without a pause neither Ctrl-C
 * nor a click on a stop button would be heard.
 * @param every milliseconds between two pauses
 * @returns to be called and awaited after every step
 */
export function pauser(every = 20): () => Promise<void> {
  let last = performance.now()
  return async () => {
    if (performance.now() - last < every) return
    await new Promise<void>((resolve) => {
      // A message arrives after what is waiting already, and sooner than a timer, which browsers hold back.
      const { port1, port2 } = new MessageChannel()
      port1.addEventListener('message', () => {
        port1.close()
        resolve()
      })
      port1.start()
      port2.postMessage(null)
    })
    last = performance.now()
  }
}
