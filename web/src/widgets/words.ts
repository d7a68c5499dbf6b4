export const en = {
  default: "Default",
  reset: "Back to the default",
}

export const zh: typeof en = {
  default: "默认",
  reset: "恢复默认值",
}
