// A supervmd of our own: in memory, on a free port, gone with the test.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export class Node {
    static async start() {
        const child = spawn(`${root}/build/bin/supervmd`, ['--dev', '--listen', '127.0.0.1:0', '--rpc-socket', 'none'], {
            stdio: ['ignore', 'ignore', 'pipe'],
        });
        const exited = new Promise((resolve) => child.on('exit', resolve));
        const url = await new Promise((resolve, reject) => {
            createInterface({ input: child.stderr }).on('line', (line) => {
                const ready = /^supervmd ready (http:\S+)/.exec(line);
                if (ready) resolve(ready[1]);
            });
            exited.then((code) => reject(new Error(`supervmd ended with ${code}`)));
        });
        return Object.assign(new Node(), { child, exited, url });
    }
    async call(method, params) {
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
        const response = await fetch(this.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
        const answer = await response.json();
        if (answer.error) throw new Error(`${method}: ${answer.error.data.name} ${answer.error.message}`);
        return answer.result;
    }
    stop() {
        this.child.kill('SIGTERM');
        return this.exited;
    }
}
