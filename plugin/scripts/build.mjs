// Builds dist/, the plugin as Grafana loads it; --zip also packs it as Grafana's installer wants it.
// The bundle is AMD: the form that the loaders of Grafana 9.4 to 13 have in common.
import { chmod, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as esbuild from 'esbuild';

import { zip } from './zip.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const EXECUTABLE = 'gpx_incidentlens';
// Windows is missing: the launcher is a shell script.
const PLATFORMS = ['linux_amd64', 'linux_arm64', 'linux_arm', 'darwin_amd64', 'darwin_arm64'];

// What Grafana lends to every plugin. react/jsx-runtime is not among it before 11.6, so JSX is the classic one.
export const SHARED = ['@grafana/data', '@grafana/runtime', '@grafana/ui', 'react', 'react-dom', 'rxjs', 'rxjs/operators'];

/** The text of module.js. Throws when anything would be bundled that Grafana should lend. */
export async function bundle(development = false) {
  const result = await esbuild.build({
    absWorkingDir: root,
    entryPoints: ['src/module.ts'],
    bundle: true,
    external: SHARED,
    format: 'cjs',
    platform: 'neutral',
    target: 'es2020',
    jsx: 'transform',
    jsxFactory: 'React.createElement',
    jsxFragment: 'React.Fragment',
    charset: 'ascii',
    legalComments: 'none',
    minify: !development,
    metafile: true,
    write: false,
  });
  const foreign = Object.keys(result.metafile.inputs).filter((path) => path.includes('node_modules'));
  if (foreign.length > 0) {
    throw new Error(`these would be bundled; make them SHARED or do without: ${foreign.join(', ')}`);
  }
  const used = new Set(
    Object.values(result.metafile.inputs).flatMap((input) => input.imports.filter((each) => each.external))
      .map((each) => each.path)
  );
  return asAmd(result.outputFiles[0].text.trim(), SHARED.filter((name) => used.has(name)));
}

// Grafana takes a module's `plugin` from `exports`, and only where __esModule says that it is one.
function asAmd(code, names) {
  const head =
    `define(${JSON.stringify(['exports', ...names])},function(__exports){` +
    `var __names=${JSON.stringify(names)},__given=arguments,module={exports:{}},exports=module.exports;` +
    `function require(name){return __given[__names.indexOf(name)+1]}\n`;
  const tail =
    `\nObject.defineProperty(__exports,"__esModule",{value:true});__exports.plugin=module.exports.plugin;});\n`;
  return head + code + tail;
}

async function build() {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const seconds = Number(process.env.SOURCE_DATE_EPOCH || Date.now() / 1000);
  const today = new Date(seconds * 1000).toISOString().slice(0, 10);
  const files = new Map();
  files.set('module.js', { data: Buffer.from(await bundle()) });
  const meta = await readFile(join(root, 'src/plugin.json'), 'utf8');
  files.set('plugin.json', { data: Buffer.from(meta.replaceAll('%VERSION%', version).replaceAll('%TODAY%', today)) });
  for (const name of (await readdir(join(root, 'src/img'))).sort()) {
    files.set(`img/${name}`, { data: await readFile(join(root, 'src/img', name)) });
  }
  for (const name of ['README.md', 'CHANGELOG.md', 'LICENSE']) {
    const data = await readFile(join(root, name)).catch(() => undefined);
    if (data !== undefined) {
      files.set(name, { data });
    }
  }
  const launcher = await readFile(join(root, 'launcher', EXECUTABLE));
  for (const platform of PLATFORMS) {
    files.set(`${EXECUTABLE}_${platform}`, { data: launcher, executable: true });
  }
  return files;
}

async function write(files) {
  const dist = join(root, 'dist');
  await rm(dist, { recursive: true, force: true });
  for (const [name, { data, executable }] of files) {
    const path = join(dist, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data);
    await chmod(path, executable ? 0o755 : 0o644);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = await build();
  await write(files);
  console.error(`dist/: ${files.size} files, module.js ${(files.get('module.js').data.length / 1024).toFixed(1)} kB`);
  if (process.argv.includes('--zip')) {
    const { id, info } = JSON.parse(files.get('plugin.json').data.toString());
    const path = join(root, `${id}-${info.version}.zip`);
    await writeFile(path, zip(files, `${id}/`, new Date(`${info.updated}T00:00:00Z`)));
    console.error(path);
  }
}
