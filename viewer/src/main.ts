import { mount } from 'svelte'
import App from './App.svelte'
import './app.css'
import { HttpSource, ReportSource } from './data/source'
import { View } from './state/view.svelte'

const target = document.getElementById('app')!
const source = ReportSource.present(document) ? new ReportSource(document) : new HttpSource()
const view = new View(source)
mount(App, { target, props: { view } })
void view.start(location.hash)
// For tests and for curious users of the console.
Object.assign(window, { tomograph: view })
