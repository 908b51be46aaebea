"""The commands of `tfsage`, by what they are about; `tfsage.cli` puts them together."""
