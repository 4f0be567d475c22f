import { Socket } from 'node:net'

/**
 * The one place that relies on what Node does not promise: a connection that was accepted is read into buffers of our
 * own, as `onread` of `net.connect` does it for a connection that was made. Node keeps the buffer and the callback under
 * three symbols of the socket. Tested with Node 24.21.0; where the symbols are missing, or a try at start
 * (direct-reads.ts) gets other bytes than were sent, all bodies take the ordinary way.
 */
export interface DirectSocket {
  /** From now on nothing that comes goes to Node's stream. */
  claim(): void
  /** The connection is Node's again, with all that was read too far. */
  release(): void
  /** Has what comes from now on read into `room`, as soon as `resume` is called. */
  beginReading(reader: Reader): void
  /** No more bytes are wanted. @param rest those that were read too far */
  endReading(rest?: Uint8Array): void
  /** Reads on; where the connection has ended by now, the reader is told so. */
  resume(): void
}

export interface Reader {
  /** Where the next bytes go; undefined: nowhere for now, reading waits for `resume`. */
  room(): Uint8Array | undefined
  /** Bytes that were read, at the beginning of the room. @returns whether to go on */
  arrived(bytes: Uint8Array): boolean
  /** Bytes that were read before the room was told, or after it has moved. @returns whether to go on */
  arrivedElsewhere(bytes: Uint8Array): boolean
  idleMs: number
  /** Nothing came for so long. */
  silent(this: void): void
  /** No more will come. */
  closed(this: void, cause?: unknown): void
}

interface Internals {
  buffer: symbol
  callback: symbol
  generator: symbol
}

/** What is read into while a socket is Node's; one for all, as it is copied from before anything else is read. */
const ordinary = new Uint8Array(64 * 1024)
const internals = findInternals()
const directSockets = new WeakMap<Socket, DirectSocket>()

/** Whether this Node has what is needed. */
export function canReadDirectly(): boolean {
  return internals !== undefined
}

/** @throws Error when it can't be done (canReadDirectly), or for a socket that is closed */
export function directSocket(socket: Socket): DirectSocket {
  const known = directSockets.get(socket)
  if (known !== undefined) return known
  if (internals === undefined) throw new Error('this Node does not let sockets be read into own buffers')
  const made = createDirectSocket(socket, internals)
  directSockets.set(socket, made)
  return made
}

function createDirectSocket(socket: Socket, { buffer, callback, generator }: Internals): DirectSocket {
  let reader: Reader | undefined
  /** Where the system reads to next. It knows no more than the address: the memory must neither go nor be another's. */
  let target: Uint8Array = ordinary

  let reading = false
  let claimed = false
  /** What came while it was claimed and nobody read: Node's stream asks for more by itself, a moment after it got some. */
  let early: Uint8Array[] = []
  let watch: { off(): void } | undefined

  /** Node calls it with what it has read into `into`. @returns false to stop reading */
  function read(length: number, into: Uint8Array): boolean {
    if (reader === undefined) {
      const bytes = Buffer.from(into.subarray(0, length))
      if (!claimed) return socket.push(bytes)
      early.push(bytes)
      return false
    }
    const room = reader.room()
    const inPlace = into.buffer === room?.buffer && into.byteOffset === room.byteOffset
    reading = true
    try {
      return inPlace
        ? reader.arrived(into.subarray(0, length))
        : reader.arrivedElsewhere(Buffer.from(into.subarray(0, length)))
    } finally {
      reading = false
    }
  }

  /** Tells the system where to read to next: it forgets what it was told before only when it is told anew. */
  function pointTo(bytes: Uint8Array): void {
    target = bytes
    Reflect.set(socket, buffer, bytes)
    const handle: unknown = Reflect.get(socket, '_handle')
    // Closed: it reads no more.
    if (typeof handle !== 'object' || handle === null) return
    Reflect.apply(Reflect.get(handle, 'useUserBuffer'), handle, [bytes])
  }

  Reflect.set(socket, callback, read)
  Reflect.set(socket, generator, () => (target = reader?.room() ?? ordinary))
  pointTo(ordinary)

  function takeEarly(): Buffer {
    const bytes = Buffer.concat(early)
    early = []
    return bytes
  }

  return {
    claim() {
      claimed = true
      socket.pause()
    },
    release() {
      claimed = false
      const bytes = takeEarly()
      if (bytes.length > 0) socket.unshift(bytes)
    },
    beginReading(next) {
      reader = next
      watch = watchSocket(socket, next)
      if (early.length > 0) next.arrivedElsewhere(takeEarly())
    },
    endReading(rest) {
      watch?.off()
      watch = undefined
      reader = undefined
      socket.pause()
      // From within a read it is done when that returns.
      if (!reading && target !== ordinary) pointTo(ordinary)
      if (rest !== undefined && rest.length > 0) early.unshift(Buffer.from(rest))
    },
    resume() {
      // It may have ended while nobody was reading, and so unheard.
      if (socket.destroyed || socket.readableEnded) {
        reader?.closed(socket.errored ?? undefined)
        return
      }
      // While there was no room the ordinary buffer took its place, and what is read into that has to be copied.
      const room = reader?.room()
      if (room !== undefined && target === ordinary && early.length === 0) pointTo(room)
      socket.resume()
    },
  }
}

function watchSocket(socket: Socket, { idleMs, silent, closed }: Reader): { off(): void } {
  const onTimeout = () => {
    // While it is paused it is the store that is slow, and not the client.
    if (isReading(socket)) silent()
    else socket.setTimeout(idleMs)
  }
  const onEnd = () => closed()
  socket.setTimeout(idleMs)
  socket.on('timeout', onTimeout)
  socket.on('end', onEnd)
  socket.on('close', onEnd)
  socket.on('error', closed)
  return {
    off() {
      socket.setTimeout(0)
      socket.off('timeout', onTimeout)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
      socket.off('error', closed)
    },
  }
}

function isReading(socket: Socket): boolean {
  const handle: unknown = Reflect.get(socket, '_handle')
  return typeof handle === 'object' && handle !== null && Reflect.get(handle, 'reading') === true
}

function findInternals(): Internals | undefined {
  const probe = new Socket({ onread: { buffer: new Uint8Array(1), callback: () => true } })
  const symbols = Object.getOwnPropertySymbols(probe)
  probe.destroy()
  const find = (name: string) => symbols.find(symbol => symbol.description === name)
  const found = { buffer: find('kBuffer'), callback: find('kBufferCb'), generator: find('kBufferGen') }
  const { buffer, callback, generator } = found
  return buffer === undefined || callback === undefined || generator === undefined
    ? undefined
    : { buffer, callback, generator }
}
