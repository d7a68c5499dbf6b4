export const en = {
  searchNodes: "Search nodes, notes, graphs",
  fitting: "What fits {type}",
  asking: "Looking for what fits …",
  noneFound: "Nothing found.",
  noteHelp: "Text on the surface, in markdown.",
  groupHelp: "A frame that moves its cards together.",
  roomRecent: "Recent",
  roomGraphs: "Saved graphs",
  roomDefined: "Graphs in this one",
  roomMore: "On the surface",
  whichPort: "{name}: which port?",
}

export const zh: typeof en = {
  searchNodes: "搜索节点、便签、流程图",
  fitting: "可以接 {type} 的节点",
  asking: "正在查找可以连接的节点…",
  noneFound: "没有找到。",
  noteHelp: "画布上的文字，支持 Markdown。",
  groupHelp: "一个框，框内节点一起移动。",
  roomRecent: "最近使用",
  roomGraphs: "已保存的流程图",
  roomDefined: "本流程图内的子流程图",
  roomMore: "画布",
  whichPort: "{name}：接到哪个端口？",
}
