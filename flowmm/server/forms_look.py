"""The colours of forms: those of the editor, each with contrast enough to be read (WCAG 2 AA: 4.5 to 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio.themes import Base


def theme() -> Base:
    """gradio's own theme with the editor's accent, and what gradio says quietly said so that it can be read."""
    from gradio import themes

    accent = themes.Color(
        name="accent", c50="#f0f2fc", c100="#e2e6f9", c200="#c6cef3", c300="#a9b5ec", c400="#8b9df7", c500="#5f72d8", c600="#4558c8", c700="#3a4bb0", c800="#303e92",
        c900="#283475", c950="#1a2250",
    )  # fmt: skip
    quiet = {"body_text_color_subdued": "*neutral_600", "block_info_text_color": "*neutral_600", "input_placeholder_color": "*neutral_500"}
    return themes.Default(primary_hue=accent, secondary_hue=accent, neutral_hue=themes.colors.stone).set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_500",
        button_cancel_background_fill=themes.colors.red.c700,
        button_cancel_background_fill_hover=themes.colors.red.c800,
        **quiet,
        **{f"{name}_dark": "*neutral_400" for name in quiet},
    )
