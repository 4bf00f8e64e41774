# After unpack.sh: programs find their libraries beside them, also where others start them with an environment of their own.
libraries=$(cd "$folder" && echo usr/lib/*-linux-gnu*)
for program in podman conmon; do
  "$folder/usr/bin/patchelf" --force-rpath --set-rpath "\$ORIGIN/../../$libraries" "$folder/usr/bin/$program"
done
