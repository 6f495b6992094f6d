// SPDX-License-Identifier: Apache-2.0
import { render } from 'preact';
import { App } from './app';
import { follow } from './route';
import './styles/base.css';
import './styles/shell.css';
import './styles/parts.css';
import './styles/jobs.css';
import './styles/job.css';
import './styles/small.css';

follow();
render(<App />, document.getElementById('app')!);
