export const en = {
  graphs: "Graphs",
  templates: "Templates",
  yours: "Yours",
  newGraph: "New graph",
  understanding: "Understanding",
  generation: "Generation",
  both: "Both at once",
}

export const zh: typeof en = {
  graphs: "流程图",
  templates: "模板",
  yours: "我的",
  newGraph: "新建流程图",
  understanding: "理解",
  generation: "生成",
  both: "理解与生成",
}
