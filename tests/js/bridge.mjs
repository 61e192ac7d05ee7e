// The C side: build/<kind>/js/main_bridge, one line in, one line of JSON out.
import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export class Bridge {
    static open() {
        let path = process.env.SVM_BRIDGE;
        if (!path) {
            execFileSync('make', ['--no-print-directory', '-s', 'js-programs'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
            path = `${root}/build/release/js/main_bridge`;
        }
        return new Bridge(path);
    }
    constructor(path) {
        this.child = spawn(path, { stdio: ['pipe', 'pipe', 'inherit'] });
        this.waiting = [];
        createInterface({ input: this.child.stdout }).on('line', (line) => this.waiting.shift().resolve(JSON.parse(line)));
        this.exited = new Promise((resolve) => this.child.on('exit', (code) => {
            for (const { reject } of this.waiting) reject(new Error(`the bridge ended with ${code}`));
            resolve(code);
        }));
    }
    ask(line) {
        return new Promise((resolve, reject) => {
            this.waiting.push({ resolve, reject });
            this.child.stdin.write(`${line}\n`);
        });
    }
    close() {
        this.child.stdin.end();
        return this.exited;
    }
}
