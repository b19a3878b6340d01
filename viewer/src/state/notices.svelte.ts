/** What is said or pointed at for a while. */
export class Notices {
  /** Why nothing happened. */
  note = $state('')
  /** The panel that is pointed at. */
  lit = $state('')
  private noteTimer = 0
  private litTimer = 0

  /** A click or a key that can do nothing says why. */
  say(note: string): void {
    this.note = note
    clearTimeout(this.noteTimer)
    this.noteTimer = window.setTimeout(() => (this.note = ''), 5000)
  }

  /** Points at a panel, whatever else is in view. */
  light(what: string): void {
    this.lit = what
    clearTimeout(this.litTimer)
    this.litTimer = window.setTimeout(() => (this.lit = ''), 4000)
  }
}
