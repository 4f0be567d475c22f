/** A bar for each load and peer, drawn as SVG: how many times as fast as the peer Berth is, on a scale of powers of two. */

export interface Row {
  title: string
  /** Berth's speed as a part of the peer's. */
  ratios: readonly { peer: string; ratio: number }[]
}

const width = 960
const labels = 400
const right = 70
const bar = 12
const gap = 10
const top = 60
const colors = ['#2f6fb0', '#d9822b', '#7a8b99', '#5b9a5b']
/** More than this many times is drawn as this many times; the number beside the bar tells it. */
const widest = 16

/** The picture for a table of ratios. `peers` gives the order of the colours. */
export function chartOf(rows: readonly Row[], peers: readonly string[]): string {
  const heights = rows.map(({ ratios }) => ratios.length * bar + gap)
  const height = top + heights.reduce((sum, one) => sum + one, 0) + 20
  const bottom = height - 20
  const scale = (width - labels - right) / (2 * Math.log2(widest))
  const x = (ratio: number) =>
    labels + (Math.log2(Math.min(widest, Math.max(1 / widest, ratio))) + Math.log2(widest)) * scale
  const lines = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16].map(ratio => {
    const at = x(ratio).toFixed(1)
    const label = ratio < 1 ? `1/${1 / ratio}` : `${ratio} x`
    return [
      `<line x1="${at}" y1="${top - 8}" x2="${at}" y2="${bottom}" stroke="${ratio === 1 ? '#222' : '#ddd'}"/>`,
      `<text x="${at}" y="${top - 12}" text-anchor="middle" fill="#666">${label}</text>`,
    ].join('\n')
  })
  const legend = peers.map((peer, at) => {
    const from = labels + at * 180
    return `<rect x="${from}" y="12" width="12" height="12" fill="${colorOf(at)}"/>\n<text x="${from + 18}" y="22">to ${escape(peer)}</text>`
  })
  let y = top
  const bars = rows.flatMap(({ title, ratios }, row) => {
    const from = y
    y += heights[row] ?? 0
    const label = `<text x="${labels - 50}" y="${from + (ratios.length * bar) / 2 + 4}" text-anchor="end">${escape(title)}</text>`
    return [
      label,
      ...ratios.map(({ peer, ratio }, at) => barOf(ratio, x, from + at * bar, colorOf(peers.indexOf(peer)))),
    ]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" fill="#222">`,
    '<title>Speed of Berth as a multiple of each peer’s</title>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...legend,
    ...lines,
    ...bars,
    '</svg>\n',
  ].join('\n')
}

function barOf(ratio: number, x: (ratio: number) => number, y: number, color: string): string {
  const [one, end] = [x(1), x(ratio)]
  const from = Math.min(one, end)
  const length = Math.max(1, Math.abs(end - one))
  const ahead = ratio >= 1
  const text = `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2)} x`
  return [
    `<rect x="${from.toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="${bar - 2}" fill="${color}"/>`,
    `<text x="${(ahead ? end + 4 : end - 4).toFixed(1)}" y="${y + 9}" font-size="10" text-anchor="${ahead ? 'start' : 'end'}">${text}</text>`,
  ].join('\n')
}

function colorOf(at: number): string {
  return colors[at % colors.length] ?? '#000'
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
