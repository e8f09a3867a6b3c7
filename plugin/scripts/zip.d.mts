export interface Packed {
  data: Buffer;
  executable?: boolean;
}
export function zip(files: Map<string, Packed>, prefix: string, date: Date): Buffer;
