// A zip archive with the modes of its files, which Grafana needs to start the backend. The same input gives the same bytes.
import { crc32, deflateRawSync } from 'node:zlib';

/** `files`: name to {data, executable}. Names get `prefix`. Returns the archive's bytes. */
export function zip(files, prefix, date) {
  const time = 0;
  const day = ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate();
  const locals = [];
  const central = [];
  let offset = 0;
  for (const [name, { data, executable }] of files) {
    const path = Buffer.from(prefix + name);
    const packed = deflateRawSync(data, { level: 9 });
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0); // version needed
    common.writeUInt16LE(0x0800, 2); // names are UTF-8
    common.writeUInt16LE(8, 4); // deflate
    common.writeUInt16LE(time, 6);
    common.writeUInt16LE(day, 8);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, path, packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((0o100000 | (executable ? 0o755 : 0o644)) << 16) >>> 0, 6); // after comment, disk and internal
    rest.writeUInt32LE(offset, 10);
    const made = Buffer.from([20, 3]); // by Unix
    central.push(Buffer.concat([Buffer.from('PK\x01\x02'), made, common, rest, path]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(central.length, 8);
  end.writeUInt16LE(central.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}
