/** Where data come from: the server, or the report's own file. Both answer under the same paths. */
export interface Source {
  /** False in a report: nothing can be asked for that is not there. */
  readonly live: boolean
  json<T>(path: string): Promise<T>
  column(path: string): Promise<ArrayBuffer>
  send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T>
}

async function failure(response: Response): Promise<Error> {
  try {
    const { error } = (await response.json()) as { error?: string }
    if (error) return new Error(error)
  } catch {
    // no JSON: the status has to do
  }
  return new Error(`the server answered ${response.status}`)
}

export class HttpSource implements Source {
  readonly live = true

  private async get(path: string): Promise<Response> {
    let response: Response
    try {
      response = await fetch(`api/${path}`, { credentials: 'same-origin' })
    } catch {
      throw new Error('the server does not answer: was tomograph view stopped?')
    }
    if (!response.ok) throw await failure(response)
    return response
  }

  async json<T>(path: string): Promise<T> {
    return (await this.get(path)).json() as Promise<T>
  }

  async column(path: string): Promise<ArrayBuffer> {
    return (await this.get(path)).arrayBuffer()
  }

  async send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const response = await fetch(`api/${path}`, {
      method,
      credentials: 'same-origin',
      headers: { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    if (!response.ok) throw await failure(response)
    return response.json() as Promise<T>
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
}
