// Sends a file with tus-js-client: node send.mjs ENDPOINT TOKEN FILE sized|deferred [CHUNK_BYTES]. Prints what became of it as JSON.
import { createReadStream, readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { Upload } from 'tus-js-client'

const [endpoint, token, path, mode, chunkBytes] = process.argv.slice(2)
const deferred = mode === 'deferred'
const requests = {}

// Not the file's own stream: of one, tus-js-client 4.3.1 declares chunkSize as the Content-Length of the last, shorter
// piece when the length is deferred (`FileSource.slice`: min(end - start, size), where size - start is meant), and the
// server waits for bytes that never come. Nor a length that chunkSize divides: `StreamSource` then waits for a
// `readable` that never comes.
const stream = () => createReadStream(path).pipe(new PassThrough())

const upload = new Upload(deferred ? stream() : readFileSync(path), {
  endpoint,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: 'long journey.mp4' },
  // A try that has brought the upload on begins the list again.
  retryDelays: Array(200).fill(50),
  chunkSize: chunkBytes ? Number(chunkBytes) : Infinity,
  uploadLengthDeferred: deferred,
  onAfterResponse(request, response) {
    const key = `${request.getMethod()} ${response.getStatus()}`
    requests[key] = (requests[key] ?? 0) + 1
  },
  onError(error) {
    console.log(JSON.stringify({ error: String(error), requests }))
    process.exit(1)
  },
  onSuccess() {
    console.log(JSON.stringify({ url: upload.url, requests }))
    process.exit(0)
  },
})
upload.start()
