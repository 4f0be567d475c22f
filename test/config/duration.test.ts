import t from 'tap'
import { formatDuration, parseDuration } from '../../server/config/duration.ts'

t.test('durations are read as Go writes them, into milliseconds', async t => {
  const table: Record<string, number> = {
    '10s': 10_000,
    '168h': 604_800_000,
    '1h30m': 5_400_000,
    '1.5s': 1500,
    '.5m': 30_000,
    '2h45m30.5s': 9_930_500,
    '100ms': 100,
    '250us': 0.25,
    '250µs': 0.25,
    '250μs': 0.25,
    '1ms1ns': 1.000001,
    '+3s': 3000,
    '-3s': -3000,
    '0': 0,
  }
  for (const [text, milliseconds] of Object.entries(table)) t.equal(parseDuration(text), milliseconds, text)
})

t.test('a bare integer is nanoseconds', async t => {
  t.equal(parseDuration('10000000000'), 10_000)
  t.equal(parseDuration('1000000'), 1)
})

t.test('what Go does not take as a duration is none', async t => {
  for (const text of ['', ' ', 's', '10 s', '10x', '1h 30m', '10s!', '1,5s', '1.5', '10S', 'P1D', '-']) {
    t.equal(parseDuration(text), undefined, JSON.stringify(text))
  }
})

t.test('what is written is read back as the same', async t => {
  const table: Record<string, number> = {
    '0s': 0,
    '10s': 10_000,
    '168h': 604_800_000,
    '1h30m': 5_400_000,
    '1m30.5s': 90_500,
    '250ms': 250,
    '1.5ms': 1.5,
    '250000ns': 0.25,
    '-3s': -3000,
  }
  for (const [text, milliseconds] of Object.entries(table)) {
    t.equal(formatDuration(milliseconds), text)
    t.equal(parseDuration(text), milliseconds)
  }
})
