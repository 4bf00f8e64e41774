# unpack.sh SUITE FOLDER PACKAGE...: the packages' files in KEEP/FOLDER, whole or not at all.
suite=$1 folder=$KEEP/$2
shift 2
apt_suite "$suite"
update "$suite"
debs=$(mktemp -d -p "$KEEP")
trap 'rm -rf "$debs" "$folder.new"' EXIT
rm -rf "$folder.new"
mkdir "$folder.new"
(cd "$debs" && apt download -qq "$@")
find "$debs" -name '*.deb' | unpack_into "$folder.new"
rm -rf "$folder"
mv "$folder.new" "$folder"
