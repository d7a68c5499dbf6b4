// Texts in PNG files, as Python reads them.
const SIGNATURE_AND_HEADER = 8 + 25 // bytes: what follows may hold texts
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
  return n
})

export function crc32(bytes: Uint8Array): number {
  let sum = ~0
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255]! ^ (sum >>> 8)
  return ~sum >>> 0
}

/** The PNG with a text more (an iTXt chunk). name: Latin letters. */
export function withText(png: Uint8Array, name: string, text: string): Uint8Array<ArrayBuffer> {
  const said = new TextEncoder().encode(`iTXt${name}\0\0\0\0\0${text}`)
  const made = new Uint8Array(png.length + said.length + 8)
  const view = new DataView(made.buffer)
  made.set(png.subarray(0, SIGNATURE_AND_HEADER))
  view.setUint32(SIGNATURE_AND_HEADER, said.length - 4)
  made.set(said, SIGNATURE_AND_HEADER + 4)
  view.setUint32(SIGNATURE_AND_HEADER + 4 + said.length, crc32(said))
  made.set(png.subarray(SIGNATURE_AND_HEADER), SIGNATURE_AND_HEADER + 8 + said.length)
  return made
}
