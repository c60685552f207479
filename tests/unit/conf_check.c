/* SPDX-License-Identifier: MIT */
/*
 * Values that are valid one by one but not together are reported at the line to change.
 */
#include "tests/unit/conf_case.h"

#define ROOT "[Disk root]\nPath=web1.qcow2\n"
#define NOTHING                                                                                      \
	"web1.vm: nothing to boot from: add a [Disk ID], a [CDROM ID], [Boot] Kernel=, or a NIC to " \
	"[Boot] Order=\n"

static void checks_vm(void **state)
{
	static const struct conf_case cases[] = {
		{ ROOT, "" },
		/* something must boot */
		{ "", NOTHING },
		{ "[VM]\nMemory=1G\n[NIC a]\n", NOTHING },
		{ "[CDROM cd]\nPath=a.iso\n", "" },
		{ "[CDROM cd]\n", "" },
		{ "[Boot]\nKernel=/boot/vmlinuz\n", "" },
		{ "[Boot]\nOrder=lan\n", "" },
		{ "[QEMU]\nArgs=-hda x\n", "" },
		/* but a misspelt disk is not a missing one */
		{ "[Dsik a]\n", "web1.vm:1: [Dsik a]: unknown section, did you mean [Disk]?\n" },

		/* topology */
		{ ROOT "[CPU]\nCores=2\n",
			"web1.vm:4: Cores: CPUs is 1, which cannot be divided by 2\n" },
		{ ROOT "[VM]\nCPUs=6\n[CPU]\nSockets=2\nCores=2\n",
			"web1.vm:6: Sockets: CPUs is 6, which cannot be divided by 4\n" },
		{ ROOT "[VM]\nCPUs=8\n[CPU]\nSockets=2\nCores=2\n", "" },
		{ ROOT "[VM]\nCPUs=8\n[CPU]\nSockets=1\nCores=2\nThreads=2\n",
			"web1.vm:6: Sockets: Sockets x Cores x Threads is 4, but CPUs is 8\n" },
		{ ROOT "[VM]\nCPUs=8\n[CPU]\nSockets=2\nCores=2\nThreads=2\n", "" },
		{ ROOT "[VM]\nCPUs=16\n[Limits]\nTasksMax=17\n",
			"web1.vm:6: TasksMax: 16 CPUs take as many threads, and QEMU itself 2\n" },
		{ ROOT "[VM]\nCPUs=16\n[Limits]\nTasksMax=18\n", "" },

		/* memory */
		{ ROOT "[VM]\nMemory=1M\n", "" },
		{ ROOT "[Memory]\nMax=512M\nMin=2G\n", "web1.vm:4: Max: less than [VM] Memory\n"
						       "web1.vm:5: Min: more than [VM] Memory\n" },
		{ ROOT "[Memory]\nMax=2G\nMin=64M\n", "" },
		{ ROOT "[Memory]\nMax=2G\nBalloon=no\n",
			"web1.vm:4: Max: more than [VM] Memory needs Balloon=yes\n" },

		/* boot */
		{ ROOT "[Boot]\nOrder=root cd\n",
			"web1.vm:4: Order: there is no disk, CD or NIC 'cd'\n" },
		{ ROOT "[Boot]\nOrder=lan,root\n", "" },
		{ ROOT "[Boot]\nOrder=root root\n", "web1.vm:4: Order: 'root' is named twice\n" },
		{ ROOT "[NIC root]\n[Boot]\nOrder=root\n",
			"web1.vm:5: Order: 'root' is both a disk and a NIC\n" },
		{ ROOT "[Boot]\nInitrd=/i\nAppend=x\n",
			"web1.vm:4: Initrd: needs Kernel=\nweb1.vm:5: Append: needs Kernel=\n" },
		{ ROOT "[Boot]\nSecureBoot=yes\nFirmware=bios\n",
			"web1.vm:4: SecureBoot: needs Firmware=uefi\n" },
		{ ROOT "[Boot]\nSecureBoot=yes\n[VM]\nMachine=pc-i440fx-7.2\n",
			"web1.vm:4: SecureBoot: needs Machine=q35\n" },
		{ ROOT "[Boot]\nSecureBoot=yes\n", "" },

		/* a value that was refused is not missing, and nothing is compared with the default in its place */
		{ ROOT "[Display]\nListen=0.0.0.0\nPassword=a/b\n",
			"web1.vm:5: Password: 'a/b' is not the name of a file in the configuration directory\n" },
		{ ROOT "[CPU]\nCores=2\n[VM]\nCPUs=many\n",
			"web1.vm:6: CPUs: 'many' is not a number from 1 to 1024\n" },
		{ ROOT "[Memory]\nMax=2G\n[VM]\nMemory=4\"G\n[Limits]\nMemoryMax=512M\n",
			"web1.vm:6: Memory: '4\"G' is not a size such as 512M, at least 1M, at most 64T, a multiple of 1M\n" },
		{ ROOT "Bus=ide\n[VM]\nMachine=ps2\n",
			"web1.vm:5: Machine: 'ps2' is not q35, pc or a version of these such as pc-q35-7.2\n" },
		{ ROOT "AIO=native\nCache=nnone\n",
			"web1.vm:4: Cache: 'nnone' is not auto, none, writeback, writethrough, directsync or unsafe\n" },
		{ ROOT "[NIC a]\nAddress=10.0.0.300\nGateway=10.0.0.1\n",
			"web1.vm:4: Address: '10.0.0.300' is not an IPv4 address, with Bridge= one with a prefix length\n" },
		{ ROOT "[NIC a]\nBridge=br0\nAddress=10.0.0.5/24\n[CloudInit]\nUser=root\n",
			"web1.vm:7: User: 'root' is not a user name other than root, such as anna\n" },
		{ ROOT "[Boot]\nKernel=/a/../b\nInitrd=/i\n",
			"web1.vm:4: Kernel: '..' is not allowed in a path\n" },
		/* and others are */
		{ ROOT "[CPU]\nCores=2\n[VM]\nMemory=many\n",
			"web1.vm:6: Memory: 'many' is not a size such as 512M, at least 1M, at most 64T, a multiple of 1M\n"
			"web1.vm:4: Cores: CPUs is 1, which cannot be divided by 2\n" },

		/* conditions that other VMs wait for */
		{ ROOT "[Lifecycle]\nAfter=db web1\nRequires=web1\n",
			"web1.vm:4: After: 'web1' is this VM itself\n"
			"web1.vm:5: Requires: 'web1' is this VM itself\n" },
		{ ROOT "[Lifecycle]\nReadyWhen=agent\n[Agent]\nEnable=no\n",
			"web1.vm:4: ReadyWhen: agent needs [Agent] Enable=yes\n" },
		{ ROOT "[Lifecycle]\nReadyWhen=agent\n", "" },
		{ ROOT "[Lifecycle]\nReadyWhen=notify\n[Agent]\nEnable=no\n", "" },

		/* disks */
		{ "[Disk a]\nCache=none\n",
			"web1.vm:1: Path: missing; give Path=, or Size= for a new image\n" },
		{ "[Disk a]\nPth=a.raw\n",
			"web1.vm:2: Pth: unknown key in [Disk], did you mean 'Path'?\n" },
		{ "[Disk a]\nPath=disk\n",
			"web1.vm:2: Path: cannot tell the format from the name, add Format=qcow2 or Format=raw\n" },
		{ "[Disk a]\nPath=disk\nFormat=raw\n", "" },
		{ "[Disk a]\nPath=.qcow2\n",
			"web1.vm:2: Path: cannot tell the format from the name, add Format=qcow2 or Format=raw\n" },
		{ "[Disk a]\nPath=a.QCOW2\nBase=b.raw\n", "" },
		{ "[CDROM a]\nPath=a.ISO\n", "" },
		{ "[Disk a]\nPath=/dev/vg0/a\nBase=b.raw\n",
			"web1.vm:3: Base: a raw image has none\n" },
		{ "[Disk a]\nPath=/dev/vg0/a\nSize=1G\n",
			"web1.vm:3: Size: images are created in a store only: give a relative "
			"Path=\n" },
		{ "[Disk a]\nPath=a.raw\n[Disk b]\nPath=a.raw\n",
			"web1.vm:4: Path: disk 'a' has the same\n" },
		{ "[Disk a]\nPath=a.raw\nReadOnly=yes\n[Disk b]\nPath=a.raw\nReadOnly=yes\n", "" },
		{ "[Disk a]\nPath=.trash/a.raw\n",
			"web1.vm:2: Path: files of such names are removed without asking: move '.trash/a.raw'\n" },
		{ "[Disk a]\nPath=/srv/x/.trash/a.raw\n",
			"web1.vm:2: Path: files of such names are removed without asking: move '/srv/x/.trash/a.raw'\n" },
		{ "[Disk a]\nPath=images/.fetch-0.qcow2\n",
			"web1.vm:2: Path: files of such names are removed without asking: move 'images/.fetch-0.qcow2'\n" },
		{ "[Disk a]\nPath=a.qcow2\nBase=.vmkeep-copy-1.raw\n",
			"web1.vm:3: Base: files of such names are removed without asking: move '.vmkeep-copy-1.raw'\n" },
		{ "[CDROM a]\nPath=.vmkeep-new-1.iso\n",
			"web1.vm:2: Path: files of such names are removed without asking: move '.vmkeep-new-1.iso'\n" },
		{ "[Disk a]\nPath=.trash.raw\n[Disk b]\nPath=x.trash/a.raw\n[Disk c]\nPath=.hidden/a.raw\n",
			"" },
		{ ROOT "[CDROM a]\nPath=a.iso\n[CDROM b]\nPath=a.iso\n", "" },
		{ ROOT "AIO=native\n", "" },
		{ ROOT "AIO=native\nCache=none\n", "" },
		{ ROOT "AIO=native\nCache=directsync\n", "" },
		{ ROOT "AIO=native\nCache=writeback\n",
			"web1.vm:3: AIO: native needs Cache=none or directsync\n" },
		{ ROOT "AIO=io_uring\nCache=writeback\n", "" },
		{ ROOT "Bus=ide\n", "web1.vm:3: Bus: ide needs Machine=pc; q35 has sata\n" },
		{ ROOT "Bus=sata\n", "" },
		{ ROOT "Bus=ide\n[VM]\nMachine=pc\n", "" },
		{ ROOT "Bus=sata\n[VM]\nMachine=pc\n",
			"web1.vm:3: Bus: sata needs Machine=q35; pc has ide\n" },
		{ "[VM]\nMachine=pc\n[CDROM a]\n[CDROM b]\n[CDROM c]\n[CDROM d]\nBus=scsi\n[CDROM e]\n",
			"" },
		{ "[VM]\nMachine=pc\n[CDROM a]\n[CDROM b]\n[CDROM c]\n[CDROM d]\n[CDROM e]\n",
			"web1.vm:7: Bus: ide has 4 ports, use scsi\n" },

		/* NICs */
		{ ROOT "[NIC a]\nBridge=br0\n", "" },
		{ ROOT "[NIC a]\nNetwork=x\nBridge=br0\n",
			"web1.vm:5: Bridge: cannot be used with Network=; write only one\n" },
		{ ROOT "[NIC a]\nNetwork=x\nNetwork=\nBridge=br0\n", "" },
		{ ROOT "[NIC a]\nBridge=br0\nAddress=10.0.0.1\n",
			"web1.vm:5: Address: with Bridge= this needs a prefix length: write 10.0.0.1/24\n" },
		{ ROOT "[NIC a]\nBridge=br0\nAddress=10.0.0.1/24\n",
			"web1.vm:5: Address: with Bridge=, only cloud-init can tell the guest: write a section [CloudInit], with User= for example\n" },
		{ ROOT "[CloudInit]\nUser=anna\n[NIC a]\nBridge=br0\nAddress=10.0.0.1/24\nGateway=10.0.0.9\nDNS=10.0.0.8\n",
			"" },
		{ ROOT "[CloudInit]\nNetworkConfig=/x\n[NIC a]\nBridge=br0\nAddress=10.0.0.1/24\n",
			"web1.vm:7: Address: NetworkConfig= in [CloudInit] takes its place; write only one\n" },
		{ ROOT "[NIC a]\nBridge=br0\nGateway=10.0.0.1\n",
			"web1.vm:5: Gateway: needs Address=\n" },
		{ ROOT "[NIC a]\nDNS=10.0.0.1\n", "web1.vm:4: DNS: needs Address=\n" },
		{ ROOT "[NIC a]\nAddress=10.0.0.1/24\n",
			"web1.vm:4: Address: this is for Bridge=; a network tells the guest itself\n" },
		{ ROOT "[NIC a]\nAddress=10.0.0.1\nGateway=10.0.0.9\n",
			"web1.vm:5: Gateway: this is for Bridge=; a network tells the guest itself\n" },
		{ ROOT "[NIC a]\nAddress=10.0.0.1/33\n",
			"web1.vm:4: Address: '10.0.0.1/33' is not an IPv4 address, with Bridge= one with a prefix length\n" },
		{ ROOT "[NIC a]\nMACAddress=52:54:00:00:00:01\n[NIC b]\nMACAddress=52:54:00:00:00:01\n",
			"web1.vm:6: MACAddress: NIC 'a' has the same\n" },
		{ ROOT "[NIC a]\nAddress=10.0.0.2\n[NIC b]\nAddress=10.0.0.2\n",
			"web1.vm:6: Address: NIC 'a' has the same\n" },
		{ ROOT "[NIC a]\nAddress=10.0.0.2\n[NIC b]\nAddress=10.0.0.2\nNetwork=x\n", "" },

		/* display */
		{ ROOT "[Display]\nListen=0.0.0.0\n",
			"web1.vm:4: Listen: VNC over TCP needs Password=, or AllowNoPassword=yes\n" },
		{ ROOT "[Display]\nListen=127.0.0.1\n",
			"web1.vm:4: Listen: VNC over TCP needs Password=, or AllowNoPassword=yes\n" },
		{ ROOT "[Display]\nListen=::\nPassword=web1.password\n", "" },
		{ ROOT "[Display]\nListen=0.0.0.0\nAllowNoPassword=yes\n", "" },
		{ ROOT "[Display]\nListen=0.0.0.0\nType=none\n", "" },
	};

	(void)state;
	conf_case_check(cases, ARRAY_SIZE(cases));
}

static void checks_network(void **state)
{
	static const struct conf_case cases[] = {
		{ "", "" },
		{ "[Network]\nAddress=192.168.122.1/24\nBridge=virbr7\nMTUBytes=9000\n", "" },
		{ "[Network]\nAddress=192.168.122.0/24\n",
			"lan.network:2: Address: '192.168.122.0/24' is not auto or an address of the host with "
			"its prefix such as 192.168.122.1/24\n" },
		{ "[Network]\nAddress=192.168.122.255/24\n",
			"lan.network:2: Address: '192.168.122.255/24' is not auto or an address of the host "
			"with its prefix such as 192.168.122.1/24\n" },
		{ "[Network]\nAddress=192.168.122.1/31\n",
			"lan.network:2: Address: '192.168.122.1/31' is not auto or an address of the host with "
			"its prefix such as 192.168.122.1/24\n" },
		{ "[Network]\nMode=open\n", "lan.network:2: Mode: 'open' is not nat\n" },
		{ "[Network]\nAddress=10.1.2.1/16\n[DHCPServer]\nRange=10.1.0.1-10.1.1.255\n", "" },
		{ "[Network]\nAddress=10.1.2.1/16\n[DHCPServer]\nRange=10.1.0.0-10.1.1.255\n",
			"lan.network:4: Range: not within [Network] Address=\n" },
		{ "[Network]\nAddress=10.1.2.1/16\n[DHCPServer]\nRange=10.1.0.1-10.2.0.1\n",
			"lan.network:4: Range: not within [Network] Address=\n" },
		{ "[Network]\nAddress=10.1.2.1/16\n[DHCPServer]\nRange=10.1.0.1-10.1.3.1\n",
			"lan.network:4: Range: holds the host's own address\n" },
		{ "[DHCPServer]\nRange=10.1.0.1-10.1.3.1\n",
			"lan.network:2: Range: needs [Network] Address=\n" },
		{ "[Network]\nAddress=10.1.0.0/16\n[DHCPServer]\nRange=10.2.0.1-10.2.3.1\n",
			"lan.network:2: Address: '10.1.0.0/16' is not auto or an address of the host with its "
			"prefix such as 192.168.122.1/24\n" },
		{ "[DHCPServer]\nRange=10.1.0.9-10.1.0.1\n",
			"lan.network:2: Range: '10.1.0.9-10.1.0.1' is not a range of addresses such as "
			"192.168.122.10-192.168.122.99\n" },
		{ "[DHCPServer]\nLeaseSec=1min\n",
			"lan.network:2: LeaseSec: '1min' is not a time such as 5min or infinity, at least "
			"2min\n" },
		{ "[DHCPServer]\nDomain=a..b\n",
			"lan.network:2: Domain: 'a..b' is not a DNS domain\n" },
		{ "[DNS]\nForward=1.1.1.1 2606:4700::1111\n", "" },
		{ "[DNS]\nForward=dns.example\n",
			"lan.network:2: Forward: 'dns.example' is not an IP address\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct conf_source src = conf_case_source("lan.network", cases[i].text);
		struct conf_network c = CONF_NETWORK_INIT;
		struct conf_problems p = { 0 };

		conf_network_parse(&c, "lan", &src, 1, &p);
		problems_are(&p, cases[i].problems);
		conf_problems_release(&p);
		conf_network_release(&c);
	}
}

static void a_network_of_no_file(void **state)
{
	struct conf_network c = CONF_NETWORK_INIT;
	struct conf_problems p = { 0 };

	(void)state;
	conf_network_parse(&c, "default", NULL, 0, &p);
	conf_case_no_problems(&p);
	assert_string_equal(c.name, "default");
	assert_int_equal(c.mode, CONF_NETWORK_NAT);
	assert_null(c.bridge);
	assert_false(c.subnet.set);
	assert_int_equal(c.mtu, 0);
	assert_true(c.dhcp && c.dns);
	assert_int_equal(c.lease_ms, 3600000);
	assert_string_equal(c.domain, "vm.internal");
	assert_int_equal(c.forward.n, 0);
	conf_network_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks_vm),
		cmocka_unit_test(checks_network),
		cmocka_unit_test(a_network_of_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
