'use strict'

// A node of the proxy herd in Node.js: one process per node, one port for clients and neighbours.
//
// A client's report is answered, kept if it is later than what is known, and flooded to the neighbours: a plain `AT`
// line, a connection of its own per message. A neighbour does the same, so a flood ends where the report is no news.
// Places come from the legacy Google Nearby Search through fetch. No dependencies.
//
// Lines are latin1 strings, a character per byte: strings and regular expressions are what V8 is fastest at, and every
// byte comes out as it went in.

const net = require('node:net')
const { parseArgs } = require('node:util')

// \s would match the no-break space. The ranges of latitude, longitude, radius and bound are in the patterns.
const W = '[ \\t\\r\\n\\f\\v]'
const CLIENT = '([^ \\t\\r\\n\\f\\v]+)'
const LATITUDE = '[+-]0*(?:[0-8]?\\d(?:\\.\\d+)?|90(?:\\.0+)?)'
const LONGITUDE = '[+-]0*(?:(?:1[0-7]\\d|\\d?\\d)(?:\\.\\d+)?|180(?:\\.0+)?)'
const TIME = '((\\d{1,18})(?:\\.(\\d{1,9}))?)'
const RADIUS = '\\+?(0*(?:[0-4]?\\d(?:\\.\\d+)?|50(?:\\.0+)?))'
const BOUND = '\\+?0*(1?\\d|20)'
const SKEW = '([+-])(\\d{1,18})(?:\\.(\\d{1,9}))?'

const IAMAT = new RegExp(`^${W}*IAMAT${W}+${CLIENT}${W}+(${LATITUDE}${LONGITUDE})${W}+${TIME}${W}*$`)
const WHATSAT = new RegExp(`^${W}*WHATSAT${W}+${CLIENT}${W}+${RADIUS}${W}+${BOUND}${W}*$`)
const AT = new RegExp(`^AT${W}+${CLIENT}${W}+${SKEW}${W}+${CLIENT}${W}+${LATITUDE}${LONGITUDE}${W}+${TIME}$`)
const BLANK = new RegExp(`^${W}*$`)
const PLACE = / ([+-][\d.]+)([+-][\d.]+) [^ ]+$/

const SECOND = 1_000_000_000n // in nanoseconds, which all times are
const TOLERANCE = 60n * SECOND // a report counts as at most this far ahead of its receipt

const LINE_MAX = 64 << 10 // bytes; a longer line ends the session
const LINE_SHOWN = 64 // bytes of such a line that are copied
const LINGER_MS = 1000 // for the answer to such a line to arrive before what is still unread makes the kernel reset
const REPLIES_MAX = 64 // replies a session may have waiting for places before it is no longer read
const LINKS_OPEN_MAX = 8 // connections at once to a neighbour; more make turns of the loops longer and floods later
const LINK_MS = 5000 // for a flood message to leave
const PLACES_OPEN_MAX = 100 // requests at once
const PLACES_MS = 5000 // for an answer with places
const PLACES_BYTES_MAX = 4 << 20
const BACKLOG = 4096 // neighbours connect once per message; a full backlog costs them a second

/** What a node knows, and what it does with a line. */
class Node {
  constructor(name, links, places) {
    this.name = name
    this.links = links
    this.places = places
    // client -> { effective, time, line }: effective time, the client's time, AT line without its newline
    this.clients = new Map()
  }

  iamat([, client, place, text, whole, fraction], now) {
    const time = nanoseconds(whole, fraction)
    const skew = now - time
    // Fresh strings: a piece of a line would keep all of the input that came with it.
    const line = fresh(`AT ${this.name} ${signed(skew)} ${client} ${place} ${text}`)
    const limit = now + TOLERANCE
    this.learn(client, time < limit ? time : limit, time, line, this.name)
    return line + '\n'
  }

  at([, origin, sign, seconds, rest, client, , whole, fraction], line) {
    const time = nanoseconds(whole, fraction)
    const skew = nanoseconds(seconds, rest)
    const limit = (sign === '-' ? time - skew : time + skew) + TOLERANCE
    this.learn(client, time < limit ? time : limit, time, fresh(line), origin)
  }

  /** Keeps and floods what is later than what is known. The neighbour that took the report needs no copy. */
  learn(client, effective, time, line, origin) {
    const known = this.clients.get(client)
    if (known === undefined) {
      client = fresh(client)
      this.clients.set(client, { effective, time, line })
    } else {
      if (effective < known.effective || (effective === known.effective && time <= known.time)) return
      known.effective = effective
      known.time = time
      known.line = line
    }
    for (const link of this.links) if (link.name !== origin) link.send(client, line)
  }

  /** A promise of the answer; undefined if nobody knows the client. */
  whatsat([, client, radius, bound], socket) {
    const known = this.clients.get(client)
    if (known === undefined) return undefined
    const line = known.line
    const [, latitude, longitude] = PLACE.exec(line)
    const location = `${latitude.replace('+', '')},${longitude.replace('+', '')}`
    return this.places
      .ask(location, radius * 1000, Number(bound), socket)
      .then((body) => Buffer.concat([Buffer.from(line + '\n', 'latin1'), Buffer.from(body + '\n\n')]))
  }
}

/** A connection of a client, or of a neighbour with a message.
 *
 * Lines are decided as they arrive. While an answer waits for places, the later ones queue behind it. */
class Session {
  constructor(node, socket) {
    this.node = node
    this.socket = socket
    this.rest = '' // of the input, without a newline so far
    this.replies = [] // { reply }, undefined until its places are there; the first has none, or the list is empty
    this.lines = undefined // that came but are not decided, because too many replies wait
    this.ended = false // the client has half-closed
    this.tooLong = false
    socket.on('data', (data) => this.data(data))
    socket.on('end', () => this.end())
    socket.on('drain', () => this.steer())
    socket.on('error', () => {}) // it closes
  }

  data(data) {
    if (this.tooLong) return
    const lines = (this.rest + data.latin1Slice(0, data.length)).split('\n')
    this.rest = lines.pop()
    if (this.rest.length > LINE_MAX + 1) lines.push(this.rest) // one for a carriage return
    this.decide(lines, wallClock())
  }

  end() {
    this.ended = true
    if (this.rest !== '' && !this.tooLong) {
      // The carriage return stands for the line end, so that one of the client's own is copied.
      const last = this.rest + '\r'
      this.rest = ''
      if (this.lines) this.lines.push(last)
      else this.decide([last], wallClock())
    }
    if (this.replies.length === 0 && !this.lines) this.socket.end()
  }

  decide(lines, now) {
    const { node, replies } = this
    let out = ''
    for (let index = 0; index < lines.length && !this.tooLong; index++) {
      if (replies.length >= REPLIES_MAX) {
        this.lines = lines.slice(index)
        break
      }
      let line = lines[index]
      if (line.endsWith('\r')) line = line.slice(0, -1)
      let found, reply
      if (line.length > LINE_MAX) {
        reply = `? ${line.slice(0, LINE_SHOWN)}\n`
        this.tooLong = true
      } else if ((found = IAMAT.exec(line))) {
        reply = node.iamat(found, now)
      } else if ((found = AT.exec(line))) {
        node.at(found, line)
        continue
      } else if ((found = WHATSAT.exec(line)) && (reply = node.whatsat(found, this.socket))) {
        const place = { reply: undefined }
        replies.push(place)
        reply.then((answer) => {
          place.reply = answer
          this.flush()
        })
        continue
      } else if (!BLANK.test(line)) {
        reply = `? ${line}\n`
      } else {
        continue
      }
      if (replies.length > 0) replies.push({ reply })
      else out += reply
    }
    if (out !== '') this.write(out)
    if (replies.length > 0) this.steer()
    else if (this.tooLong) this.hangUp()
  }

  /** Sends what no longer has to wait. */
  flush() {
    const { replies } = this
    if (this.socket.destroyed) return
    let done = 0
    while (done < replies.length && replies[done].reply !== undefined) this.write(replies[done++].reply)
    replies.splice(0, done)
    if (this.lines && replies.length < REPLIES_MAX) {
      const lines = this.lines
      this.lines = undefined
      this.decide(lines, wallClock())
    }
    this.steer()
    if (replies.length > 0 || this.lines) return
    if (this.tooLong) this.hangUp()
    else if (this.ended) this.socket.end()
  }

  write(reply) {
    if (!this.socket.write(reply, 'latin1')) this.socket.pause()
  }

  /** Reads on, unless the client does not read or waits for enough as it is. */
  steer() {
    if (this.socket.writableNeedDrain || this.lines || this.replies.length >= REPLIES_MAX) this.socket.pause()
    else if (this.socket.isPaused()) this.socket.resume()
  }

  hangUp() {
    if (this.socket.writableEnded) return
    this.rest = ''
    this.socket.end()
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref()
  }
}

/** The way to a neighbour: a connection per message, a few at once.
 *
 * What has to wait waits as the latest line of each client: that bounds it, and nobody hears what is old already. */
class Link {
  constructor(name, port) {
    this.name = name
    this.port = port
    this.waiting = new Map() // client -> its latest line
    this.next = this.waiting.entries() // stays at the head, where a new iterator would have to pass what was deleted
    this.open = 0
    this.up = undefined
  }

  send(client, line) {
    if (this.open < LINKS_OPEN_MAX) this.deliver(line)
    else this.waiting.set(client, line)
  }

  deliver(line) {
    this.open += 1
    const socket = net.connect({ host: '127.0.0.1', port: this.port })
    let problem = 'timeout'
    socket.setTimeout(LINK_MS, () => socket.destroy())
    socket.on('error', (error) => { problem = error.code })
    // Waiting for the neighbour to close too keeps one that is slower than this node from finding thousands of
    // connections in its backlog.
    socket.on('end', () => { problem = undefined })
    socket.resume()
    socket.on('close', () => {
      // What a neighbour misses while it is away it misses; the next message tries it again.
      this.note(problem === undefined, problem)
      this.open -= 1
      const next = this.take()
      if (next !== undefined) this.deliver(next)
    })
    socket.end(line + '\n', 'latin1')
  }

  take() {
    if (this.waiting.size === 0) return undefined
    let { value, done } = this.next.next()
    if (done) {
      this.next = this.waiting.entries()
      value = this.next.next().value
    }
    this.waiting.delete(value[0])
    return value[1]
  }

  note(up, problem) {
    if (up === this.up) return
    this.up = up
    console.error(`link to ${this.name} ${up ? 'up' : `down: ${problem}`}`)
  }
}

/** The legacy Nearby Search. What goes wrong is an answer too, of the same form. */
class Places {
  constructor(base, key) {
    this.url = base.replace(/\/+$/, '') + '/maps/api/place/nearbysearch/json'
    this.key = key
    this.open = 0
    this.waiting = []
  }

  async ask(location, radius, bound, socket) {
    if (this.open < PLACES_OPEN_MAX) this.open += 1
    else await new Promise((resolve) => this.waiting.push(resolve))
    try {
      if (socket.destroyed) return failure('nobody waits')
      const query = new URLSearchParams({ location, radius: +radius.toPrecision(12), key: this.key })
      return await this.request(query, bound)
    } catch (error) {
      return failure(error.name === 'TimeoutError' ? 'timeout' : 'cannot connect')
    } finally {
      if (this.waiting.length > 0) this.waiting.shift()()
      else this.open -= 1
    }
  }

  async request(query, bound) {
    const response = await fetch(`${this.url}?${query}`, { signal: AbortSignal.timeout(PLACES_MS) })
    if (response.status !== 200) {
      await response.body?.cancel()
      return failure(`status ${response.status}`)
    }
    const parts = []
    let size = 0
    for await (const part of response.body) {
      parts.push(part)
      size += part.length
      if (size > PLACES_BYTES_MAX) return failure('answer too large')
    }
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
      return cut(text, bound).replace(/\n+/g, '\n').trim()
    } catch {
      return failure('answer makes no sense')
    }
  }
}

function failure(what) {
  return `{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR","error_message":"places: ${what}"}`
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{},]/g

/** Takes the results beyond the bound out of a Nearby Search answer, and leaves every other character as it is. */
function cut(text, bound) {
  const answer = JSON.parse(text)
  if (!Array.isArray(answer?.results) || typeof answer.status !== 'string') throw new Error('not an answer')
  if (answer.results.length <= bound) return text
  let depth = 0
  let key = ''
  let count = 0
  let keep = 0
  // Depth 1 is the answer, 2 the list of results. The text is known to be JSON, so tokens are enough.
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === '[' || token === '{') {
      depth += 1
      if (depth === 2 && key === 'results' && bound === 0) keep = index + 1
    } else if (token === ']' || token === '}') {
      depth -= 1
      if (depth === 1 && key === 'results') return text.slice(0, keep) + text.slice(index)
    } else if (token === ',') {
      if (depth === 1) key = ''
      else if (depth === 2 && key === 'results' && ++count === bound) keep = index
    } else if (depth === 1 && key === '') {
      key = JSON.parse(token)
    }
  }
  throw new Error('not an answer')
}

function nanoseconds(whole, fraction) {
  return BigInt(whole + (fraction === undefined ? '000000000' : fraction.padEnd(9, '0')))
}

function signed(skew) {
  const digits = (skew < 0n ? -skew : skew).toString().padStart(10, '0')
  return `${skew < 0n ? '-' : '+'}${digits.slice(0, -9)}.${digits.slice(-9)}`
}

/** A string of its own with the same content. */
function fresh(text) {
  return Buffer.from(text, 'latin1').latin1Slice()
}

/** Nanoseconds since 1970. Node.js has such a clock only in milliseconds, so the monotonic one is set by it, and again
 * whenever they have drifted apart. */
function wallClock() {
  const elapsed = process.hrtime.bigint()
  const drift = Number(elapsed + wallClockStart) / 1e6 - Date.now()
  if (drift < -0.1 || drift > 1.1) setWallClock()
  return elapsed + wallClockStart
}

let wallClockStart
function setWallClock() {
  const before = Date.now()
  while (Date.now() === before); // a millisecond begins
  wallClockStart = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint()
}

function main() {
  const { values } = parseArgs({
    options: {
      node: { type: 'string' },
      port: { type: 'string' },
      peers: { type: 'string', default: '' },
      places: { type: 'string', default: 'http://127.0.0.1:18080' },
      key: { type: 'string', default: 'none' },
    },
  })
  if (!values.node || !values.port) {
    console.error('herd.js --node NAME --port N [--peers NAME=PORT,...] [--places URL] [--key KEY]')
    process.exit(2)
  }
  setWallClock()
  const links = values.peers
    .split(',')
    .filter(Boolean)
    .map((pair) => pair.split('='))
    .map(([name, port]) => new Link(name, Number(port)))
  const node = new Node(values.node, links, new Places(values.places, values.key))
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => new Session(node, socket))
  server.listen({ host: '127.0.0.1', port: Number(values.port), backlog: BACKLOG }, () => {
    console.error(`${values.node} listens on 127.0.0.1:${values.port}, Node.js ${process.version}`)
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))
}

main()
