/** The payload of a body in chunked transfer coding (RFC 9112 section 7.1), found in place: nothing is copied. */
export interface ChunkedScanner {
  /**
   * Looks through the next bytes of the body.
   * @param pieces takes up where payload lies: offset, length, offset, length, ...
   * @returns how many bytes belong to the body; fewer than given when it ended among them
   * @throws Error when they do not keep to the coding
   */
  scan(bytes: Uint8Array, pieces: number[]): number
  readonly ended: boolean
}

/** Hexadecimal digits of a size: what they tell is a safe integer. */
const longestSize = 13
/** Bytes of extensions behind one size, and of all trailers. */
const longestExtension = 4096
const longestTrailers = 16 * 1024

const cr = 13
const lf = 10
const semicolon = 59

type State =
  | 'size'
  | 'space'
  | 'extension'
  | 'size lf'
  | 'payload'
  | 'payload cr'
  | 'payload lf'
  | 'trailer'
  | 'trailer lf'
  | 'end'

export function createChunkedScanner(): ChunkedScanner {
  let state: State = 'size'
  let size = 0
  let digits = 0
  let left = 0
  let extension = 0
  let trailers = 0
  let lineLength = 0

  /** One byte of the coding itself. */
  function step(byte: number): State {
    switch (state) {
      case 'size': {
        const digit = hexOf(byte)
        if (digit >= 0) {
          if (++digits > longestSize) throw new Error('the size of a chunk is too large')
          size = size * 16 + digit
          return 'size'
        }
        if (digits === 0) throw new Error('a chunk has no size')
        extension = 0
        if (byte === cr) return 'size lf'
        if (byte === semicolon) return 'extension'
        if (byte === 32 || byte === 9) return 'space'
        throw new Error('the size of a chunk is not hexadecimal')
      }
      case 'space':
        if (byte === cr) return 'size lf'
        if (byte === semicolon) return 'extension'
        if ((byte !== 32 && byte !== 9) || ++extension > longestExtension) {
          throw new Error('the size of a chunk is not hexadecimal')
        }
        return 'space'
      case 'extension':
        if (byte === cr) return 'size lf'
        if (isControl(byte) || ++extension > longestExtension)
          throw new Error('the extension of a chunk is not understood')
        return 'extension'
      case 'size lf':
        if (byte !== lf) throw new Error('the line of a chunk does not end')
        left = size
        digits = 0
        size = 0
        if (left > 0) return 'payload'
        lineLength = 0
        return 'trailer'
      case 'payload cr':
        if (byte !== cr) throw new Error('a chunk is longer than its size')
        return 'payload lf'
      case 'payload lf':
        if (byte !== lf) throw new Error('a chunk is longer than its size')
        return 'size'
      case 'trailer':
        if (byte === cr) return 'trailer lf'
        if (isControl(byte) || ++trailers > longestTrailers) throw new Error('the trailers are not understood')
        lineLength++
        return 'trailer'
      case 'trailer lf':
        if (byte !== lf) throw new Error('the trailers are not understood')
        if (lineLength === 0) return 'end'
        lineLength = 0
        return 'trailer'
      case 'payload':
      case 'end':
        throw new Error('these are not bytes of the coding')
      default:
        return state satisfies never
    }
  }

  return {
    scan(bytes, pieces) {
      let index = 0
      while (index < bytes.length && state !== 'end') {
        if (state === 'payload') {
          const length = Math.min(left, bytes.length - index)
          pieces.push(index, length)
          index += length
          left -= length
          if (left === 0) state = 'payload cr'
        } else {
          state = step(bytes[index] ?? 0)
          index++
        }
      }
      return index
    },
    get ended() {
      return state === 'end'
    },
  }
}

/** What no line may have in it; but for the tab, which is a space. */
function isControl(byte: number): boolean {
  return (byte < 32 && byte !== 9) || byte === 127
}

function hexOf(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
