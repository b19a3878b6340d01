/** Where data come from: the server, or the report's own file. Both answer under the same paths. */
export interface Source {
  /** False in a report: nothing can be asked for that is not there. */
  readonly live: boolean
  /** With a version: of that one and no other. Rejects with Stale when it was made anew. */
  json<T>(path: string, version?: string): Promise<T>
  column(path: string, version?: string): Promise<ArrayBuffer>
  send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T>
  /** Bytes for the server, of one version of what they are about. */
  tell(path: string, bytes: Uint8Array<ArrayBuffer>, version?: string): Promise<void>
}

/** What was asked for was made anew since the manifest was read. */
export class Stale extends Error {}

async function failure(response: Response): Promise<Error> {
  let line = `the server answered ${response.status}`
  try {
    const { error } = (await response.json()) as { error?: string }
    if (error) line = error
  } catch {
    // no JSON: the status has to do
  }
  return response.status === 412 ? new Stale(line) : new Error(line)
}

const versioned = (path: string, version?: string) => (version ? `${path}${path.includes('?') ? '&' : '?'}v=${version}` : path)

export class HttpSource implements Source {
  readonly live = true

  private async get(path: string, options: RequestInit = {}): Promise<Response> {
    let response: Response
    try {
      response = await fetch(`api/${path}`, { credentials: 'same-origin', ...options })
    } catch {
      throw new Error('the server does not answer: was tomograph view stopped?')
    }
    if (!response.ok) throw await failure(response)
    return response
  }

  async json<T>(path: string, version?: string): Promise<T> {
    return (await this.get(versioned(path, version))).json() as Promise<T>
  }

  async column(path: string, version?: string): Promise<ArrayBuffer> {
    return (await this.get(versioned(path, version))).arrayBuffer()
  }

  async send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const response = await this.get(path, {
      method,
      headers: { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    return response.json() as Promise<T>
  }

  async tell(path: string, bytes: Uint8Array<ArrayBuffer>, version?: string): Promise<void> {
    await this.get(versioned(path, version), { method: 'POST', headers: { 'Content-Type': 'application/octet-stream' }, body: bytes })
  }
}

/** `<script type="application/octet-stream;base64" data-path="...">` elements of a report. */
export class ReportSource implements Source {
  readonly live = false
  private readonly elements = new Map<string, Element>()

  constructor(root: Document) {
    for (const element of root.querySelectorAll('script[data-path]'))
      this.elements.set(element.getAttribute('data-path')!, element)
  }

  static present(root: Document): boolean {
    return root.querySelector('script[data-path="manifest"]') !== null
  }

  private text(path: string): string {
    const element = this.elements.get(path)
    if (!element) throw new Error(`the report holds no ${path}`)
    return element.textContent ?? ''
  }

  async json<T>(path: string): Promise<T> {
    return JSON.parse(this.text(path)) as T
  }

  async column(path: string): Promise<ArrayBuffer> {
    const bytes = atob(this.text(path).trim())
    const buffer = new Uint8Array(bytes.length)
    for (let i = 0; i < bytes.length; ++i) buffer[i] = bytes.charCodeAt(i)
    return buffer.buffer
  }

  send<T>(): Promise<T> {
    return Promise.reject(new Error('a report cannot compute'))
  }

  tell(): Promise<void> {
    return Promise.reject(new Error('a report tells nobody'))
  }
}
