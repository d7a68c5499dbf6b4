// The bar at the right: queue, problems, history, gallery.
export function SideBar() {
  return null
}
