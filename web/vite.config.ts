import react from "@vitejs/plugin-react"
import { defineConfig } from "vitest/config"

// Relative addresses, so that the page works wherever it is mounted; `/app/` and the names that gradio uses are not ours.
export default defineConfig({
  base: "/",
  plugins: [react()],
  // One sheet of styles, small: a part that came without its own, the server being away, would not get it later.
  build: { outDir: "dist", assetsDir: "parts", cssCodeSplit: false, target: "es2022", chunkSizeWarningLimit: 700 },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8383", ws: true }, "/app": "http://127.0.0.1:8383" } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
})
